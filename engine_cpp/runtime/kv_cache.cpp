#include "qwen3/kv_cache.hpp"

#include <string>

#include "qwen3/engine.hpp"
#include "qwen3/error.hpp"
#include "runtime/page_pool.hpp"

namespace qwen3 {
namespace {

int64_t pages_for(int64_t tokens) { return (tokens + kPageTokens - 1) / kPageTokens; }

}  // namespace

KvCache::KvCache(std::shared_ptr<PagePool> pool) : pool_(std::move(pool)) {}

KvCache::~KvCache() { pool_->release(pages_); }

int64_t KvCache::size() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(tokens_.size());
}

std::vector<int32_t> KvCache::tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
}

int64_t KvCache::pages() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int64_t>(pages_.size());
}

int64_t KvCache::bytes() const { return pages() * pool_->page_bytes(); }

std::shared_ptr<KvCache> KvCache::fork(int64_t n) const {
    auto copy = std::make_shared<KvCache>(pool_);
    const std::lock_guard lock(mutex_);
    const auto held = static_cast<int64_t>(tokens_.size());
    if (n < 0 || n > held)
        throw ConfigError("cannot fork " + std::to_string(n) + " tokens of a cache that holds " + std::to_string(held));
    copy->tokens_.assign(tokens_.begin(), tokens_.begin() + n);
    copy->pages_.assign(pages_.begin(), pages_.begin() + pages_for(n));
    pool_->retain(copy->pages_);
    return copy;
}

void KvCache::truncate(int64_t n) {
    const std::lock_guard lock(mutex_);
    if (busy()) throw ConfigError("cannot truncate a cache while a generation is writing to it; cancel it first");
    truncate_locked(n);
}

void KvCache::truncate_locked(int64_t n) {
    const auto held = static_cast<int64_t>(tokens_.size());
    if (n < 0 || n > held)
        throw ConfigError("cannot truncate to " + std::to_string(n) + " tokens a cache that holds " +
                          std::to_string(held));
    tokens_.resize(static_cast<size_t>(n));
    const auto keep = static_cast<size_t>(pages_for(n));
    pool_->release(std::span(pages_).subspan(keep));
    pages_.resize(keep);
}

}  // namespace qwen3
