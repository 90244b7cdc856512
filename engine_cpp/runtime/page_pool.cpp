#include "runtime/page_pool.hpp"

#include <string>

#include "qwen3/engine.hpp"
#include "qwen3/error.hpp"

namespace qwen3 {

PagePool::PagePool(int64_t pages, int64_t page_bytes)
    : page_bytes_(page_bytes), holders_(static_cast<size_t>(pages), 0) {
    free_.reserve(holders_.size());
    for (int64_t id = pages - 1; id >= 0; --id) free_.push_back(static_cast<int32_t>(id));
}

std::vector<int32_t> PagePool::acquire(int64_t n) {
    const std::lock_guard lock(mutex_);
    const auto available = static_cast<int64_t>(free_.size());
    if (n > available)
        throw OutOfMemory("the KV cache is full: " + std::to_string(n) + " pages are needed, " +
                          std::to_string(available) + " are free (" + std::to_string(available * kPageTokens) +
                          " tokens fit) of a budget of " + std::to_string(total() * page_bytes_ >> 20) + " MiB for " +
                          std::to_string(total() * kPageTokens) + " tokens; drop a cache or raise the budget");
    std::vector<int32_t> pages(free_.end() - n, free_.end());
    free_.resize(free_.size() - static_cast<size_t>(n));
    for (int32_t page : pages) holders_[static_cast<size_t>(page)] = 1;
    return pages;
}

void PagePool::retain(std::span<const int32_t> pages) {
    const std::lock_guard lock(mutex_);
    for (int32_t page : pages) ++holders_[static_cast<size_t>(page)];
}

void PagePool::release(std::span<const int32_t> pages) {
    const std::lock_guard lock(mutex_);
    for (int32_t page : pages)
        if (--holders_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

bool PagePool::shared(int32_t page) const {
    const std::lock_guard lock(mutex_);
    return holders_[static_cast<size_t>(page)] > 1;
}

int64_t PagePool::used() const {
    const std::lock_guard lock(mutex_);
    return total() - static_cast<int64_t>(free_.size());
}

}  // namespace qwen3
