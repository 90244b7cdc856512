// The verbs on a CPU device: each is work divided among the device's threads; the arithmetic is in kernels/.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/cpu/kernels/kernels.hpp"
#include "ops/cpu/kv_pages.hpp"
#include "ops/cpu/packed_matrix.hpp"
#include "ops/cpu/quantized_buffer.hpp"
#include "ops/ops.hpp"
#include "threads/thread_pool.hpp"

namespace qwen3::cpu {

class CpuBuffer final : public Buffer {
public:
    CpuBuffer(int64_t rows, int64_t columns)
        : columns_(columns), block_(static_cast<size_t>(rows * columns) * sizeof(float), "activations") {}

    size_t bytes() const override { return block_.bytes(); }
    int64_t columns() const { return columns_; }
    float* row(int64_t index) const { return reinterpret_cast<float*>(block_.data()) + index * columns_; }

private:
    int64_t columns_;
    Block block_;
};

class CpuVector final : public Vector {
public:
    explicit CpuVector(std::vector<float> values) : values_(std::move(values)) {}
    const float* data() const { return values_.data(); }

private:
    std::vector<float> values_;
};

class CpuOps final : public Ops {
public:
    CpuOps(const DeviceShape& shape, int threads, SpinPolicy policy, const std::vector<CpuList>& cpus = {});

    std::string_view isa() const override { return kernels_.isa; }

    std::unique_ptr<Buffer> alloc(int64_t rows, int64_t columns) override;
    std::unique_ptr<Matrix> pack(const TensorView& weight, const Slice& slice, WeightType type) override;
    std::unique_ptr<Vector> pack_vector(const TensorView& weight) override;
    std::unique_ptr<KvPages> alloc_pages(int64_t pages) override;
    size_t page_bytes() const override { return CpuKvPages::bytes_of_page(shape_); }
    size_t workspace_bytes() const override;

    void begin_step(const Batch& batch, KvPages& kv) override;
    void end_step() override;

    void embed(const Matrix& table, Buffer& hidden) override;
    void norm_qkv(const Buffer& hidden, const Vector& norm, const Matrix& wq, const Matrix& wk, const Matrix& wv,
                  Buffer& q, Buffer& k, Buffer& v) override;
    void qk_norm_rope_append(Buffer& q, Buffer& k, const Buffer& v, const Vector& q_norm, const Vector& k_norm,
                             int64_t layer) override;
    void attention(const Buffer& q, Buffer& out, int64_t layer) override;
    void o_residual(const Buffer& attn, const Matrix& wo, bool residual, Buffer& hidden) override;
    void norm_gate_up_silu(const Buffer& hidden, const Vector& norm, const Matrix& gate, const Matrix& up,
                           Buffer& act) override;
    void down_residual(const Buffer& act, const Matrix& down, bool residual, Buffer& hidden) override;
    void all_reduce_sum(Buffer& hidden, Communicator& comm) override;
    void norm_head(const Buffer& hidden, const Vector& norm, const Matrix& head, std::span<float> logits) override;

private:
    // One projection of a shared input.
    struct Product {
        const PackedMatrix& w;
        float* y;     // [tokens, ldy]
        int64_t ldy;  // floats
        bool accumulate = false;
    };

    // What products share: rows as the matrices of this device take them.
    struct Activations {
        const float* x;
        int64_t ldx;  // floats
        int64_t tokens;
        QuantizedRows quantized;
    };

    // A buffer's rows, and RMSNorm of some rows of hidden.
    Activations activations(const Buffer& x, int64_t tokens);
    Activations normalised(const Buffer& hidden, const Vector& norm, std::span<const int32_t> rows);
    // y of the panels in range; the kernel that fits the matrix's type.
    void multiply(const Activations& x, const Product& product, Range panels) const;
    // All products of x, their panels divided among the threads.
    void multiply_all(const Activations& x, std::span<const Product> products);

    Range share(int64_t total, int thread) const { return split(total, 1, thread, pool_.threads()); }
    // fn(row) for all rows, divided among the threads; one row is not worth waking them.
    template <class Fn>
    void for_rows(int64_t rows, Fn&& fn) {
        auto some = [&](Range mine) {
            for (int64_t i = mine.begin; i < mine.end; ++i) fn(i);
        };
        if (rows <= 1) return some({0, rows});
        pool_.run([&](int thread) { some(share(rows, thread)); });
    }

    const DeviceShape shape_;
    const Kernels& kernels_;
    ThreadPool pool_;

    const Batch* batch_ = nullptr;   // of the current step
    CpuKvPages* kv_ = nullptr;
    std::vector<int32_t> all_rows_;  // 0 .. ntok - 1

    // One attention call: a block of a sequence's query tokens on some KV heads.
    struct AttentionItem {
        const SequenceSpan* sequence;
        int64_t first_row;  // within the sequence
        int64_t rows;
        Range heads;        // local KV heads
    };
    std::vector<AttentionItem> attention_items_;

    std::unique_ptr<CpuBuffer> normed_;  // [ntok or nrows, d]
    std::unique_ptr<CpuBuffer> up_;      // [ntok, di]
    QuantizedBuffer quantized_;          // of the current product's rows, for integer weights
    struct AttentionScratch {
        std::vector<float> floats;
        std::vector<const char*> pages;
        std::vector<AttentionHead> heads;
    };
    std::vector<AttentionScratch> attention_scratch_;  // [threads]
};

}  // namespace qwen3::cpu
