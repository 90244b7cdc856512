// The verbs on a GPU: each is a call of the plugin. What stays here is the upload of weights, on host threads.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/cuda_plugin/plugin.hpp"
#include "ops/ops.hpp"
#include "threads/thread_pool.hpp"

namespace qwen3::cuda_plugin {

// Where a device belongs.
struct Seat {
    int ordinal;             // of the GPU
    Qwen3CudaGroupId group;  // used by groups of more than one
    Communicator& comm;      // of its worker thread; the ranks meet there before each step
};

class CudaOps final : public Ops {
public:
    // Every rank of a group at the same time. Throws DeviceError, ConfigError, OutOfMemory.
    CudaOps(const Plugin& plugin, const DeviceShape& shape, const Seat& seat, int threads, SpinPolicy policy,
            const std::vector<CpuList>& cpus);

    std::string_view isa() const override { return plugin_->architecture(device_.get()); }

    std::unique_ptr<Buffer> alloc(int64_t rows, int64_t columns) override;
    std::unique_ptr<Matrix> pack(const TensorView& weight, const Slice& slice, WeightType type) override;
    std::unique_ptr<Vector> pack_vector(const TensorView& weight) override;
    std::unique_ptr<KvPages> alloc_pages(int64_t pages) override;
    size_t page_bytes() const override { return static_cast<size_t>(plugin_->page_bytes(device_.get())); }
    size_t workspace_bytes() const override { return static_cast<size_t>(plugin_->workspace_bytes(device_.get())); }
    std::optional<size_t> free_bytes() const override;

    void begin_step(const Batch& batch, KvPages& kv) override;
    void end_step() override;
    std::unique_ptr<StepClock> clock() override;
    DeviceCounts counts() const override;

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
    friend class EventClock;

    // Fills device memory from the rows of a slice, rounded as To.
    template <class To>
    void upload(const TensorView& weight, const Slice& slice, Qwen3CudaMemory to);

    const Plugin& plugin_;
    const DeviceShape shape_;
    Communicator& comm_;
    std::unique_ptr<Qwen3CudaDevice, void (*)(Qwen3CudaDevice*)> device_;
    ThreadPool pool_;
    bool timed_ = false;  // this step
    std::vector<Qwen3CudaSequence> sequences_;
    std::vector<int32_t> copies_;
};

}  // namespace qwen3::cuda_plugin
