#include "runtime/cache_writer.hpp"

#include <algorithm>

#include "qwen3/engine.hpp"
#include "qwen3/error.hpp"
#include "runtime/page_pool.hpp"

namespace qwen3 {

CacheLease::CacheLease(std::shared_ptr<KvCache> cache) : cache_(std::move(cache)) {
    const std::lock_guard lock(cache_->mutex_);
    if (cache_->busy_.exchange(true, std::memory_order_acq_rel)) {
        cache_.reset();
        throw ConfigError(
            "this KV cache is in use by another generation or step; fork it, or wait until that has ended");
    }
}

CacheLease::~CacheLease() {
    if (cache_) cache_->busy_.store(false, std::memory_order_release);
}

int64_t CacheLease::keep_prefix(std::span<const int32_t> tokens, int64_t most) {
    const std::lock_guard lock(cache_->mutex_);
    const auto& held = cache_->tokens_;
    const auto end = std::mismatch(held.begin(), held.end(), tokens.begin(), tokens.end()).first;
    const int64_t common = std::min<int64_t>(end - held.begin(), most);
    cache_->truncate_locked(common);
    return common;
}

void CacheLease::truncate(int64_t n) {
    const std::lock_guard lock(cache_->mutex_);
    cache_->truncate_locked(n);
}

CacheWriter::CacheWriter(KvCache& cache, int64_t n) : cache_(cache), pool_(cache.pool_) {
    const std::lock_guard lock(cache.mutex_);
    first_position_ = static_cast<int64_t>(cache.tokens_.size());
    pages_ = cache.pages_;
    const int64_t needed = (first_position_ + n + kPageTokens - 1) / kPageTokens;
    const bool into_last = first_position_ % kPageTokens != 0;
    const bool copy_last = into_last && pool_->shared(pages_.back());
    pages_.reserve(static_cast<size_t>(needed));  // nothing may throw once pages are taken
    copies_.reserve(1);
    acquired_ = pool_->acquire(needed - static_cast<int64_t>(pages_.size()) + (copy_last ? 1 : 0));
    auto next = acquired_.begin();
    if (copy_last) {
        copies_.push_back({pages_.back(), *next});
        pages_.back() = *next++;
    }
    pages_.insert(pages_.end(), next, acquired_.end());
}

CacheWriter::~CacheWriter() { pool_->release(acquired_); }

void CacheWriter::commit(std::span<const int32_t> tokens) {
    const std::lock_guard lock(cache_.mutex_);
    for (const PageCopy& copy : copies_) pool_->release(std::span(&copy.from, 1));
    cache_.pages_ = pages_;
    cache_.tokens_.insert(cache_.tokens_.end(), tokens.begin(), tokens.end());
    acquired_.clear();
}

}  // namespace qwen3
