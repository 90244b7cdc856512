// One device's shard of a Qwen3, and the forward pass over it.
#pragma once

#include <memory>
#include <vector>

#include "comm/communicator.hpp"
#include "model/probe.hpp"
#include "ops/ops.hpp"

namespace qwen3 {

struct Layer {
    std::unique_ptr<Vector> attn_norm, attn_q_norm, attn_k_norm, ffn_norm;
    std::unique_ptr<Matrix> q_proj, k_proj, v_proj, o_proj;
    std::unique_ptr<Matrix> gate_proj, up_proj, down_proj;  // of a dense layer
    std::unique_ptr<Matrix> router;                         // of a sparse one
    std::vector<Expert> experts;
};

struct DeviceWeights {
    std::unique_ptr<Matrix> input_embd;
    std::unique_ptr<Vector> output_norm;
    std::unique_ptr<Matrix> output_embd;  // null when tied
    std::vector<Layer> layers;

    const Matrix& head() const { return output_embd ? *output_embd : *input_embd; }
    size_t bytes() const;
    // What a step of one token reads, if it takes so many of a layer's experts.
    size_t bytes_per_step(int64_t experts_per_token) const;
};

class Transformer {
public:
    Transformer(Ops& ops, const DeviceShape& shape, DeviceWeights weights);

    // Logits of the batch's wanted rows, this shard's columns of [nrows, dvoc]. Every rank of the group calls it with
    // the same batch.
    void forward(const Batch& batch, KvPages& kv, Communicator& comm, std::span<float> logits, Probe& probe);

    const DeviceWeights& weights() const { return weights_; }
    size_t weight_bytes_per_step() const { return weights_.bytes_per_step(shape_.meta.experts.per_token); }
    // Tokens that each expert met in the last step, [nlayer, experts].
    std::span<const int64_t> expert_tokens() const { return expert_tokens_; }
    size_t activation_bytes() const;

private:
    void reserve(int64_t ntok);
    std::span<int64_t> tokens_of_experts(int64_t layer);  // counted anew

    Ops& ops_;
    const DeviceShape shape_;
    DeviceWeights weights_;
    int64_t capacity_ = 0;  // rows that the buffers hold
    std::unique_ptr<Buffer> hidden_, q_, k_, v_, attn_, act_, expert_act_;
    std::vector<int64_t> expert_tokens_;
};

}  // namespace qwen3
