// Who may write to a KV cache, and how a step's tokens are added: reserved before, committed after, or not at all.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/ops.hpp"
#include "qwen3/kv_cache.hpp"

namespace qwen3 {

// Exclusive right to change a cache, from construction to destruction. Throws ConfigError if somebody has it.
class CacheLease {
public:
    explicit CacheLease(std::shared_ptr<KvCache> cache);
    ~CacheLease();
    CacheLease(CacheLease&& other) noexcept = default;
    CacheLease& operator=(CacheLease&&) = delete;

    KvCache& cache() const { return *cache_; }
    // Keeps the longest common prefix with `tokens`, at most `most` tokens, and returns its length.
    int64_t keep_prefix(std::span<const int32_t> tokens, int64_t most);
    void truncate(int64_t n);

private:
    std::shared_ptr<KvCache> cache_;  // null once moved from
};

// Room for n more tokens of a leased cache. Readers and forks see nothing of it until commit().
class CacheWriter {
public:
    CacheWriter(KvCache& cache, int64_t n);  // throws OutOfMemory, the cache unchanged
    ~CacheWriter();                          // gives the pages back unless committed
    CacheWriter(const CacheWriter&) = delete;
    CacheWriter& operator=(const CacheWriter&) = delete;

    int64_t first_position() const { return first_position_; }
    std::span<const int32_t> pages() const { return pages_; }
    std::span<const PageCopy> copies() const { return copies_; }  // a shared last page is copied, never written

    void commit(std::span<const int32_t> tokens);

private:
    KvCache& cache_;
    const std::shared_ptr<PagePool> pool_;  // a committed writer may outlive its cache
    int64_t first_position_;
    std::vector<int32_t> pages_;            // as the cache will have them
    std::vector<int32_t> acquired_;         // ours until commit
    std::vector<PageCopy> copies_;
};

}  // namespace qwen3
