// The verbs of the forward pass on one device. What they take lives on the device; a batch is host memory that
// begin_step hands over. Verbs of one step are called in order by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "comm/communicator.hpp"
#include "ops/shapes.hpp"
#include "ops/step_clock.hpp"
#include "qwen3/profile.hpp"

namespace qwen3 {

// Every buffer of a row for each token has room for so many, as a device may pad a small step.
constexpr int64_t kLeastRows = 16;

// Copy-on-write: page `from` is copied to page `to` before the step.
struct PageCopy {
    int32_t from = 0;
    int32_t to = 0;
};

// One request's rows of the ragged batch and the pages of its cache.
struct SequenceSpan {
    int64_t first_row = 0;
    int64_t rows = 0;
    int64_t first_position = 0;
    std::span<const int32_t> pages;  // enough for first_position + rows tokens
};

// One ragged step, as every device sees it.
struct Batch {
    std::span<const int32_t> tokens;      // [ntok]
    std::span<const int32_t> positions;   // [ntok]
    std::span<const SequenceSpan> sequences;
    std::span<const int32_t> logit_rows;  // [nrows], rows whose logits are wanted
    std::span<const PageCopy> copies;
    std::span<const float> cos, sin;      // [ntok, dh / 2]

    int64_t ntok() const { return static_cast<int64_t>(tokens.size()); }
    int64_t nrows() const { return static_cast<int64_t>(logit_rows.size()); }
};

// Device memory of f32 activations, [rows, columns] with the columns that its maker knows.
class Buffer {
public:
    virtual ~Buffer() = default;
    virtual size_t bytes() const = 0;
};

// A shard of a projection [out, in] in the device's own layout.
class Matrix {
public:
    virtual ~Matrix() = default;
    virtual size_t bytes() const = 0;
};

// A matrix to be packed.
struct Source {
    const TensorView* weight;
    WeightType type;
};

// A norm's weights, f32.
class Vector {
public:
    virtual ~Vector() = default;
};

// The device's part of every KV page: its KV heads, all layers.
class KvPages {
public:
    virtual ~KvPages() = default;
    virtual size_t page_bytes() const = 0;
};

// One of the MLPs that a router picks from.
struct Expert {
    std::unique_ptr<Matrix> gate, up, down;
};

class Ops {
public:
    virtual ~Ops() = default;

    virtual std::string_view isa() const = 0;  // what its kernels were compiled for

    // Memory. All throw OutOfMemory.
    virtual std::unique_ptr<Buffer> alloc(int64_t rows, int64_t columns) = 0;
    virtual std::unique_ptr<Matrix> pack(const TensorView& weight, const Slice& slice, WeightType type) = 0;
    // Matrices of one slice that lie side by side on the device: those of a layer's experts. Calls packed(i) once the
    // i-th is there.
    virtual std::vector<std::unique_ptr<Matrix>> pack_all(std::span<const Source> sources, const Slice& slice,
                                                          const std::function<void(size_t)>& packed);
    virtual std::unique_ptr<Vector> pack_vector(const TensorView& weight) = 0;
    virtual std::unique_ptr<KvPages> alloc_pages(int64_t pages) = 0;
    virtual size_t page_bytes() const = 0;
    virtual size_t workspace_bytes() const = 0;  // of activations that the verbs keep to themselves
    // Of memory that is the device's own; nullopt: it works in the host's.
    virtual std::optional<size_t> free_bytes() const { return std::nullopt; }

    // A step. The batch stays valid until end_step. What begin_step throws is thrown before anything has changed.
    virtual void begin_step(const Batch& batch, KvPages& kv) = 0;
    virtual void end_step() = 0;
    virtual std::unique_ptr<StepClock> clock() { return std::make_unique<HostClock>(); }
    virtual DeviceCounts counts() const { return {}; }  // of the last step

    // hidden [ntok, d] = rows of the table that this shard holds, 0 for the others.
    virtual void embed(const Matrix& table, Buffer& hidden) = 0;
    // q [ntok, nh*dh], k and v [ntok, nkvh*dh] of RMSNorm(hidden).
    virtual void norm_qkv(const Buffer& hidden, const Vector& norm, const Matrix& wq, const Matrix& wk,
                          const Matrix& wv, Buffer& q, Buffer& k, Buffer& v) = 0;
    // RMSNorm per head, then RoPE; q in place, k and v into the pages of this layer.
    virtual void qk_norm_rope_append(Buffer& q, Buffer& k, const Buffer& v, const Vector& q_norm, const Vector& k_norm,
                                     int64_t layer) = 0;
    // out [ntok, nh*dh]: causal softmax(q k / sqrt(dh)) v over each sequence's pages.
    virtual void attention(const Buffer& q, Buffer& out, int64_t layer) = 0;
    // hidden [ntok, d] = attn wo (+ hidden, on the rank that carries the residual).
    virtual void o_residual(const Buffer& attn, const Matrix& wo, bool residual, Buffer& hidden) = 0;
    // act [ntok, di] = silu(gate) * up of RMSNorm(hidden).
    virtual void norm_gate_up_silu(const Buffer& hidden, const Vector& norm, const Matrix& gate, const Matrix& up,
                                   Buffer& act) = 0;
    virtual void down_residual(const Buffer& act, const Matrix& down, bool residual, Buffer& hidden) = 0;

    // Instead of the two above in layers with experts: norm_route picks those of every token, and the others act on
    // them, a row of act for each token and expert. Devices that cannot throw DeviceError.
    //
    // The likeliest experts of softmax(router RMSNorm(hidden)); adds to tokens_of_expert [experts].
    virtual void norm_route(const Buffer& hidden, const Vector& norm, const Matrix& router,
                            std::span<int64_t> tokens_of_expert);
    // act [ntok * experts of a token, expert di] = silu(gate) * up of what norm_route normalised.
    virtual void experts_gate_up_silu(std::span<const Expert> experts, Buffer& act);
    // hidden [ntok, d] = the sum of every token's experts, as the router weighs them (+ hidden, as above).
    virtual void experts_down_residual(const Buffer& act, std::span<const Expert> experts, bool residual,
                                       Buffer& hidden);
    // hidden [ntok, d] = its sum over the ranks, the same bits on every rank.
    virtual void all_reduce_sum(Buffer& hidden, Communicator& comm) = 0;
    // This shard's columns of logits [nrows, dvoc] (host memory) of RMSNorm(hidden) at the wanted rows; there after
    // end_step.
    virtual void norm_head(const Buffer& hidden, const Vector& norm, const Matrix& head, std::span<float> logits) = 0;

private:
    [[noreturn]] static void refuse_experts();
};

}  // namespace qwen3
