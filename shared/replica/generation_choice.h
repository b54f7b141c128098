// Which generation of a replica a restore takes. Pure, reentrant.
//
// The one that was asked for. Else the one with the newest data, and from there on to any generation that
// names it as its predecessor, whatever the clocks said. For a time: back from there to the generation that
// was current then.
//
// A generation that has the data but no snapshot yet is an error, never a reason to fall back to older data.
#pragma once

#include "shared/replica/generation.h"
#include "shared/replica/restore_plan.h"

namespace litestream {

// The place in `generations`, none of which is empty. `wanted` empty: chosen. kNotFound: there is none at
// all.
Result<std::size_t> choose_generation(const std::vector<Generation>& generations, const std::string& wanted,
                                      const RestoreTarget& target);

}  // namespace litestream
