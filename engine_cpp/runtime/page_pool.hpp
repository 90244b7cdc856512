// Which KV pages are in use and by how many caches. The pages themselves lie on the devices, under the same ids.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace qwen3 {

class PagePool {
public:
    PagePool(int64_t pages, int64_t page_bytes);  // bytes over all devices

    // n pages with one holder each. Throws OutOfMemory saying how many tokens still fit.
    std::vector<int32_t> acquire(int64_t n);
    void retain(std::span<const int32_t> pages);   // one more holder
    void release(std::span<const int32_t> pages);  // one holder less; the last one frees the page
    bool shared(int32_t page) const;               // has more than one holder

    int64_t total() const { return static_cast<int64_t>(holders_.size()); }
    int64_t used() const;
    int64_t page_bytes() const { return page_bytes_; }

private:
    const int64_t page_bytes_;
    mutable std::mutex mutex_;
    std::vector<int32_t> holders_;  // [pages]
    std::vector<int32_t> free_;     // the last one is taken first: it is warm
};

}  // namespace qwen3
