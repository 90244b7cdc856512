// Half-open ranges and how they are divided among ranks and threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace qwen3 {

struct Range {
    int64_t begin = 0;
    int64_t end = 0;

    int64_t size() const { return end - begin; }
    bool operator==(const Range&) const = default;
};

// Part `index` of [0, total) cut into `parts` of whole granules, as even as they allow; the first parts take one
// granule more, the last may be short or empty.
inline Range split(int64_t total, int64_t granule, int64_t index, int64_t parts) {
    const int64_t granules = (total + granule - 1) / granule;
    const int64_t each = granules / parts;
    const int64_t longer = granules % parts;
    const int64_t begin = index * each + std::min(index, longer);
    const int64_t end = begin + each + (index < longer ? 1 : 0);
    return {std::min(begin * granule, total), std::min(end * granule, total)};
}

}  // namespace qwen3
