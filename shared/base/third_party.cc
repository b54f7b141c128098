// The one place where the header-only Boost libraries are compiled (JSON, URL).
// Built without sanitizers and warnings: their cost and their findings are not ours.
#include <boost/json/src.hpp>
#include <boost/url/src.hpp>
