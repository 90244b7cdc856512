#include <numeric>

#include "check.hpp"
#include "model/sharding.hpp"
#include "qwen3/error.hpp"

using namespace qwen3;

namespace {

Meta meta() {
    Meta m;
    m.nlayer = 2, m.d = 40, m.nh = 8, m.nkvh = 2, m.dh = 24, m.di = 200, m.dctx = 128, m.dvoc = 301;
    m.experts = {.count = 6, .per_token = 2, .di = 90};
    return m;
}

// Ranges of consecutive ranks must tile [0, total) without a gap.
void check_tiles(const std::vector<Range>& ranges, int64_t total) {
    int64_t at = 0;
    for (const Range& range : ranges) {
        CHECK(range.begin == at && range.end >= range.begin);
        at = range.end;
    }
    CHECK(at == total);
}

}  // namespace

TEST("split tiles any total in whole granules", {
    for (int64_t total : {0, 1, 15, 16, 17, 301, 4096})
        for (int64_t granule : {1, 16, 32})
            for (int64_t parts = 1; parts <= 7; ++parts) {
                std::vector<Range> ranges;
                for (int64_t i = 0; i < parts; ++i) {
                    ranges.push_back(split(total, granule, i, parts));
                    CHECK(ranges.back().begin % granule == 0 || ranges.back().begin == total);
                    CHECK(ranges.back().size() <= (total / granule / parts + 1) * granule);
                }
                check_tiles(ranges, total);
            }
});

TEST("every unit is divided completely among any number of devices", {
    for (int64_t size = 1; size <= 8; ++size) {
        std::vector<Range> heads, mlp, experts, vocab;
        for (int64_t rank = 0; rank < size; ++rank) {
            const Shard shard = shard_of(meta(), rank, size);
            heads.push_back(shard.query_heads), mlp.push_back(shard.mlp), vocab.push_back(shard.vocab);
            experts.push_back(shard.experts);
            CHECK(shard.query_heads.size() >= 1);
        }
        check_tiles(heads, 8), check_tiles(mlp, 200), check_tiles(experts, 90), check_tiles(vocab, 301);
    }
});

TEST("a device holds every KV head that its query heads use, and no other", {
    const Meta m = meta();
    for (int64_t size = 1; size <= 8; ++size)
        for (int64_t rank = 0; rank < size; ++rank) {
            const Shard shard = shard_of(m, rank, size);
            for (int64_t kv = 0; kv < m.nkvh; ++kv) {
                bool used = false;
                for (int64_t h = shard.query_heads.begin; h < shard.query_heads.end; ++h) used |= h / m.group() == kv;
                CHECK(used == (kv >= shard.kv_heads.begin && kv < shard.kv_heads.end));
            }
        }
});

TEST("three devices share eight query heads unevenly and replicate a KV head", {
    CHECK((shard_of(meta(), 0, 3).query_heads == Range{0, 3}));
    CHECK((shard_of(meta(), 1, 3).query_heads == Range{3, 6}));
    CHECK((shard_of(meta(), 2, 3).query_heads == Range{6, 8}));
    CHECK((shard_of(meta(), 0, 3).kv_heads == Range{0, 1}));
    CHECK((shard_of(meta(), 1, 3).kv_heads == Range{0, 2}));
    CHECK((shard_of(meta(), 2, 3).kv_heads == Range{1, 2}));
});

TEST("the table's row of a slot stands at the slot's own index", {
    for (size_t i = 0; i < kSlots; ++i) CHECK(static_cast<size_t>(kShardingTable[i].slot) == i);
});

TEST("slices are cut along the table's axis and whole along the other", {
    const Meta m = meta();
    const Shard shard = shard_of(m, 1, 3);
    const Slice q = slice_of(Slot::attn_q_proj, m, shard);
    CHECK((q.rows == Range{3 * 24, 6 * 24}) && (q.columns == Range{0, 40}));
    const Slice o = slice_of(Slot::attn_o_proj, m, shard);
    CHECK((o.rows == Range{0, 40}) && (o.columns == Range{3 * 24, 6 * 24}));
    const Slice down = slice_of(Slot::mlp_down_proj, m, shard);
    CHECK((down.rows == Range{0, 40}) && down.columns == shard.mlp);
    CHECK(slice_of(Slot::mlp_gate_proj, m, shard).rows == shard.mlp);
    CHECK(slice_of(Slot::expert_up_proj, m, shard).rows == shard.experts);
    CHECK(slice_of(Slot::expert_down_proj, m, shard).columns == shard.experts);
    CHECK((slice_of(Slot::moe_router, m, shard).rows == Range{0, 6}));
    CHECK(slice_of(Slot::output_embd, m, shard).rows == shard.vocab);
    CHECK((slice_of(Slot::attn_q_norm, m, shard).columns == Range{0, 24}));
});

TEST("more devices than query heads is an error that says both",
     { CHECK_THROWS(shard_of(meta(), 0, 9), ConfigError, "9 devices for 8 query heads"); });

TEST_MAIN()
