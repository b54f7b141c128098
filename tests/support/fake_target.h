// FakeTarget: the database of a live replica as plain bytes. What was not flushed does not show.
// Thread-bound.
#pragma once

#include <algorithm>
#include <map>
#include <utility>

#include "shared/store/replica_target.h"

namespace litestream {

class FakeTarget final : public ReplicaTarget {
  public:
    SourceState shown;  // where readers see it
    Bytes database;     // what they see
    int flushes = 0;    // that showed something
    int commits = 0;    // that were shown
    int images = 0;
    int fails_in = 0;  // the nth end_commit() from now on fails; 0: none
    std::uint32_t page_size_of_file = 0;

    SourceState state() const override { return shown; }
    std::uint32_t page_size() const override { return page_size_of_file; }

    Status apply_image(const File& image, std::uint32_t page_size, std::uint32_t page_count,
                       const SourceState& state) override {
        if (page_size_of_file != 0 && page_size != page_size_of_file) return bad_input("another page size");
        Bytes bytes(std::size_t{page_size} * page_count);
        LITESTREAM_TRY(image.read_exactly_at(0, bytes));
        database = std::move(bytes);
        page_size_of_file = page_size;
        shown = next_ = state;
        ++images;
        return {};
    }
    Status add_page(std::uint32_t page_no, ByteView page) override {
        pages_[page_no].assign(page.begin(), page.end());
        return {};
    }
    Status end_commit(std::uint32_t page_count, const SourceState& state) override {
        if (fails_in > 0 && --fails_in == 0) {
            forget();
            return Error{ErrorCode::kIo, "disk full"};
        }
        page_count_ = page_count;
        next_ = state;
        ++pending_;
        return {};
    }
    Status flush() override {
        if (pending_ == 0) return {};
        page_size_of_file = next_.page_size;
        for (const auto& [page_no, page] : pages_) {
            const std::size_t at = std::size_t{page_no - 1} * page.size();
            database.resize(std::max(database.size(), at + page.size()));
            std::copy(page.begin(), page.end(), database.begin() + static_cast<std::ptrdiff_t>(at));
        }
        database.resize(std::size_t{page_count_} * page_size_of_file);
        shown = next_;
        commits += pending_;
        ++flushes;
        forget();
        return {};
    }
    void set_state(const SourceState& state) override { shown = next_ = state; }

  private:
    void forget() {
        pages_.clear();
        pending_ = 0;
        next_ = shown;
    }
    std::map<std::uint32_t, Bytes> pages_;
    std::uint32_t page_count_ = 0;
    int pending_ = 0;
    SourceState next_;
};

}  // namespace litestream
