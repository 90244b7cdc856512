#include <memory>
#include <numeric>

#include "check.hpp"
#include "qwen3/error.hpp"
#include "runtime/cache_writer.hpp"
#include "runtime/page_pool.hpp"

using namespace qwen3;

namespace {

std::vector<int32_t> count_up(int64_t n) {
    std::vector<int32_t> ids(static_cast<size_t>(n));
    std::iota(ids.begin(), ids.end(), 0);
    return ids;
}

void append(KvCache& cache, int64_t n) {
    CacheWriter writer(cache, n);
    writer.commit(count_up(n));
}

}  // namespace

TEST("pages come and go, and exhaustion says how many tokens fit", {
    PagePool pool(4, 1 << 20);
    const auto three = pool.acquire(3);
    CHECK(pool.used() == 3);
    CHECK_THROWS(pool.acquire(2), OutOfMemory, "64 tokens fit");
    CHECK(pool.used() == 3);
    pool.retain(three);
    pool.release(three);
    CHECK(pool.used() == 3 && !pool.shared(three[0]));
    pool.release(three);
    CHECK(pool.used() == 0);
    CHECK(pool.acquire(4).size() == 4);
});

TEST("a cache takes a page per 64 tokens and gives them back when it goes", {
    auto pool = std::make_shared<PagePool>(10, 1);
    {
        auto cache = std::make_shared<KvCache>(pool);
        append(*cache, 64);
        CHECK(cache->pages() == 1);
        append(*cache, 1);
        CHECK(cache->pages() == 2 && cache->size() == 65 && pool->used() == 2);
        cache->truncate(64);
        CHECK(cache->pages() == 1 && pool->used() == 1);
        CHECK_THROWS(cache->truncate(65), ConfigError, "holds 64");
    }
    CHECK(pool->used() == 0);
});

TEST("a fork shares pages; writing into the shared last page copies it", {
    auto pool = std::make_shared<PagePool>(10, 1);
    auto cache = std::make_shared<KvCache>(pool);
    append(*cache, 100);
    auto fork = cache->fork(70);
    CHECK(fork->size() == 70 && fork->pages() == 2 && pool->used() == 2);
    CHECK((fork->tokens()[69] == 69));
    {
        CacheWriter writer(*fork, 1);
        CHECK(writer.copies().size() == 1 && writer.first_position() == 70);
        CHECK(writer.copies()[0].to == writer.pages()[1]);
        writer.commit(count_up(1));
    }
    CHECK(pool->used() == 3);
    {
        CacheWriter writer(*cache, 1);  // nobody shares its last page any more
        CHECK(writer.copies().empty());
    }
    auto whole = cache->fork(64);  // ends at a page's end: nothing to copy
    CacheWriter writer(*whole, 1);
    CHECK(writer.copies().empty());
});

TEST("an uncommitted reservation leaves no trace", {
    auto pool = std::make_shared<PagePool>(4, 1);
    auto cache = std::make_shared<KvCache>(pool);
    append(*cache, 10);
    auto fork = cache->fork(10);
    {
        CacheWriter writer(*cache, 100);
        CHECK(pool->used() == 3 && cache->size() == 10 && cache->pages() == 1);
    }
    CHECK(pool->used() == 1 && cache->size() == 10);
    CHECK_THROWS(CacheWriter(*cache, 1000), OutOfMemory, "pages are needed");
    CHECK(pool->used() == 1);
});

TEST("one lease at a time; the prefix in common is kept", {
    auto pool = std::make_shared<PagePool>(10, 1);
    auto cache = std::make_shared<KvCache>(pool);
    append(*cache, 100);
    {
        CacheLease lease(cache);
        CHECK(cache->busy());
        CHECK_THROWS(CacheLease again(cache), ConfigError, "in use");
        CHECK_THROWS(cache->truncate(1), ConfigError, "writing");
        std::vector<int32_t> other = count_up(90);
        other[80] = -1;
        CHECK(lease.keep_prefix(other, 1000) == 80 && cache->size() == 80);
        CHECK(lease.keep_prefix(count_up(50), 49) == 49);
    }
    CHECK(!cache->busy());
    CacheLease again(cache);
});

TEST_MAIN()
