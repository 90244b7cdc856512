// One layer of decode, verb after verb, as the engine runs it.
#include "page_pool.hpp"

using namespace qwen3::cuda;
using namespace qwen3::cuda::test;

#ifdef QWEN3_CUDA_EMU
#include "emu.h"

TEST("a decode layer on one device is seven launches", {
    constexpr int64_t kHidden = 24, kNeurons = 12;
    const Heads heads = whole_heads(2, 2, 8);
    const RaggedBatch batch({{70, 1}, {3, 1}}, {.head_dim = heads.head_dim});
    const Step step = batch.step();
    PagePool pool(batch.pool_pages(), 1, heads, KvType::bf16);
    pool.fill(batch, heads, 0, 31);

    Noise noise(32);
    const int64_t q_width = heads.query_heads * heads.head_dim, kv_width = heads.kv_heads * heads.head_dim;
    auto matrix = [&](int64_t rows, int64_t columns) {
        return std::make_unique<DeviceArray<Bf16>>(noise.bf16(static_cast<size_t>(rows * columns)));
    };
    auto buffer = [&](int64_t columns) {
        return std::make_unique<DeviceArray<float>>(noise.floats(static_cast<size_t>(batch.rows() * columns)));
    };
    const auto wq = matrix(q_width, kHidden), wk = matrix(kv_width, kHidden), wv = matrix(kv_width, kHidden);
    const auto wo = matrix(kHidden, q_width), gate = matrix(kNeurons, kHidden), up = matrix(kNeurons, kHidden);
    const auto down = matrix(kHidden, kNeurons);
    const auto hidden = buffer(kHidden), q = buffer(q_width), k = buffer(kv_width), v = buffer(kv_width);
    const auto attn = buffer(q_width), act = buffer(kNeurons), norms = buffer(kHidden);
    const Norm norm{norms->data(), 1e-6F};
    const DeviceArray<std::byte> workspace(attention_workspace_bytes(batch.bucket(), heads, KvType::bf16),
                                           std::byte{0xff});

    const uint64_t before = emu::launches;
    check_launched(norm_qkv(step, hidden->data(), norm, {wq->data(), q_width, kHidden}, {wk->data(), kv_width, kHidden},
                            {wv->data(), kv_width, kHidden}, q->data(), k->data(), v->data()),
                   "norm_qkv");
    check_launched(qk_norm_rope_append(step, pool.layout(), heads, 0, norm, norm, q->data(), k->data(), v->data()),
                   "qk_norm_rope_append");
    check_launched(attention(step, pool.layout(), heads, 0, q->data(), workspace.data(), attn->data()), "attention");
    check_launched(project_residual(step, attn->data(), {wo->data(), kHidden, q_width}, true, hidden->data()), "o");
    check_launched(norm_gate_up_silu(step, hidden->data(), norm, {gate->data(), kNeurons, kHidden},
                                     {up->data(), kNeurons, kHidden}, act->data()),
                   "norm_gate_up_silu");
    check_launched(project_residual(step, act->data(), {down->data(), kHidden, kNeurons}, true, hidden->data()),
                   "down");
    CHECK(emu::launches - before == 7);
    for (float x : hidden->read()) CHECK(std::isfinite(x));
});
#endif
