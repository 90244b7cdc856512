// A CPU device that runs out of memory in the middle of a step.
#include "ops/cpu/cpu_ops.hpp"
#include "check.hpp"
#include "qwen3/error.hpp"

using namespace qwen3;

TEST("a step whose buffers could not be had does not start when it is tried again", {
    DeviceShape shape;
    shape.meta = {.nlayer = 1, .d = 16, .nh = 1, .nkvh = 1, .dh = 16, .di = int64_t{1} << 42, .dctx = 64, .dvoc = 16};
    shape.shard = {.query_heads = {0, 1}, .kv_heads = {0, 1}, .mlp = {0, shape.meta.di}, .vocab = {0, 16}};
    cpu::CpuOps ops(shape, 1, SpinPolicy{});
    const auto kv = ops.alloc_pages(1);
    const std::vector<int32_t> tokens(64, 1);
    const Batch batch{.tokens = tokens};  // 2^50 bytes for one of its buffers: more than addresses
    for (int attempt = 0; attempt < 3; ++attempt) CHECK_THROWS(ops.begin_step(batch, *kv), OutOfMemory, "activations");
});

TEST_MAIN()
