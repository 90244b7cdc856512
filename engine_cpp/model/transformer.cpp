#include "model/transformer.hpp"

#include <algorithm>

namespace qwen3 {
namespace {

size_t bytes_of(const Expert& expert) { return expert.gate->bytes() + expert.up->bytes() + expert.down->bytes(); }

}  // namespace

void Transformer::forward(const Batch& batch, KvPages& kv, Communicator& comm, std::span<float> logits, Probe& probe) {
    using enum LayerVerb;
    reserve(batch.ntok());
    Buffer &hidden = *hidden_, &q = *q_, &k = *k_, &v = *v_, &attn = *attn_, &act = *act_, &expert_act = *expert_act_;
    const bool residual = comm.rank() == 0;  // one rank carries the residual into the sum

    probe.start(batch);
    ops_.begin_step(batch, kv);
    probe.mark(StepVerb::begin_step);
    ops_.embed(*weights_.input_embd, hidden);  // [ntok, d]
    ops_.all_reduce_sum(hidden, comm);
    probe.mark(StepVerb::embed);

    for (int64_t i = 0; i < shape_.meta.nlayer; ++i) {
        const Layer& w = weights_.layers[static_cast<size_t>(i)];

        ops_.norm_qkv(hidden, *w.attn_norm, *w.q_proj, *w.k_proj, *w.v_proj, q, k, v);  // [ntok, heads*dh]
        probe.mark(norm_qkv, i);
        ops_.qk_norm_rope_append(q, k, v, *w.attn_q_norm, *w.attn_k_norm, i);           // q in place; k, v into pages
        probe.mark(qk_norm_rope_append, i);
        ops_.attention(q, attn, i);                                                     // [ntok, nh*dh]
        probe.mark(attention, i);
        ops_.o_residual(attn, *w.o_proj, residual, hidden);                             // [ntok, d]
        probe.mark(o_residual, i);
        ops_.all_reduce_sum(hidden, comm);
        probe.mark(all_reduce, i);

        if (shape_.meta.sparse(i)) {
            ops_.norm_route(hidden, *w.ffn_norm, *w.router, tokens_of_experts(i));
            ops_.experts_gate_up_silu(w.experts, expert_act);                     // [ntok*k, expert di]
            probe.mark(norm_gate_up_silu, i);
            ops_.experts_down_residual(expert_act, w.experts, residual, hidden);  // [ntok, d]
            probe.mark(down_residual, i);
        } else {
            ops_.norm_gate_up_silu(hidden, *w.ffn_norm, *w.gate_proj, *w.up_proj, act);  // [ntok, di]
            probe.mark(norm_gate_up_silu, i);
            ops_.down_residual(act, *w.down_proj, residual, hidden);                     // [ntok, d]
            probe.mark(down_residual, i);
        }
        ops_.all_reduce_sum(hidden, comm);
        probe.mark(all_reduce, i);
    }

    ops_.norm_head(hidden, *weights_.output_norm, weights_.head(), logits);  // [nrows, dvoc], own columns
    ops_.end_step();
    probe.mark(StepVerb::norm_head);
    probe.stop();
}

Transformer::Transformer(Ops& ops, const DeviceShape& shape, DeviceWeights weights)
    : ops_(ops),
      shape_(shape),
      weights_(std::move(weights)),
      expert_tokens_(static_cast<size_t>(shape.meta.nlayer * shape.meta.experts.count)) {}

std::span<int64_t> Transformer::tokens_of_experts(int64_t layer) {
    const int64_t count = shape_.meta.experts.count;
    const auto of_layer =
        std::span(expert_tokens_).subspan(static_cast<size_t>(layer * count), static_cast<size_t>(count));
    std::ranges::fill(of_layer, 0);
    return of_layer;
}

void Transformer::reserve(int64_t ntok) {
    if (ntok <= capacity_) return;
    const Shard& shard = shape_.shard;
    const int64_t rows = std::max(ntok, kLeastRows);
    capacity_ = 0;  // stays so if an allocation throws
    hidden_ = ops_.alloc(rows, shape_.meta.d);
    q_ = ops_.alloc(rows, shard.query_heads.size() * shape_.meta.dh);
    k_ = ops_.alloc(rows, shard.kv_heads.size() * shape_.meta.dh);
    v_ = ops_.alloc(rows, shard.kv_heads.size() * shape_.meta.dh);
    attn_ = ops_.alloc(rows, shard.query_heads.size() * shape_.meta.dh);
    const int64_t sparse = shape_.meta.sparse_layers();
    act_ = ops_.alloc(rows, sparse < shape_.meta.nlayer ? shard.mlp.size() : 0);
    expert_act_ = ops_.alloc(rows * shape_.meta.experts.per_token, sparse > 0 ? shard.experts.size() : 0);
    capacity_ = rows;
}

size_t Transformer::activation_bytes() const {
    size_t bytes = ops_.workspace_bytes();
    for (const auto* buffer : {&hidden_, &q_, &k_, &v_, &attn_, &act_, &expert_act_})
        if (*buffer) bytes += (*buffer)->bytes();
    return bytes;
}

size_t DeviceWeights::bytes() const {
    size_t bytes = (input_embd ? input_embd->bytes() : 0) + (output_embd ? output_embd->bytes() : 0);
    for (const Layer& w : layers) {
        for (const auto* m :
             {&w.q_proj, &w.k_proj, &w.v_proj, &w.o_proj, &w.gate_proj, &w.up_proj, &w.down_proj, &w.router})
            if (*m) bytes += (*m)->bytes();
        for (const Expert& expert : w.experts) bytes += bytes_of(expert);
    }
    return bytes;
}

size_t DeviceWeights::bytes_per_step(int64_t experts_per_token) const {
    size_t idle = output_embd ? input_embd->bytes() : 0;  // whatever the token: one row of it is read
    for (const Layer& w : layers) {
        size_t all = 0;
        for (const Expert& expert : w.experts) all += bytes_of(expert);
        if (!w.experts.empty()) idle += all - all * static_cast<size_t>(experts_per_token) / w.experts.size();
    }
    return bytes() - idle;
}

}  // namespace qwen3
