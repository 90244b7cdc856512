// A conversation's keys and values: a list of page ids, the same on every device, and the tokens they hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace qwen3 {

class PagePool;

class KvCache {
public:
    explicit KvCache(std::shared_ptr<PagePool> pool);
    ~KvCache();
    KvCache(const KvCache&) = delete;
    KvCache& operator=(const KvCache&) = delete;

    int64_t size() const;  // tokens held
    std::vector<int32_t> tokens() const;
    int64_t pages() const;
    int64_t bytes() const;  // of the pages it refers to, over all devices; shared pages count in each holder
    bool belongs_to(const PagePool& pool) const { return pool_.get() == &pool; }
    bool busy() const { return busy_.load(std::memory_order_acquire); }  // a generation is writing to it

    // A new cache that shares the pages of the first n tokens, O(pages). Throws ConfigError if n is out of range.
    std::shared_ptr<KvCache> fork(int64_t n) const;
    // Forgets everything after the first n tokens. Throws ConfigError if n is out of range or the cache is busy.
    void truncate(int64_t n);

private:
    friend class CacheLease;
    friend class CacheWriter;

    void truncate_locked(int64_t n);

    std::shared_ptr<PagePool> pool_;
    mutable std::mutex mutex_;
    std::vector<int32_t> pages_;
    std::vector<int32_t> tokens_;
    std::atomic<bool> busy_{false};
};

}  // namespace qwen3
