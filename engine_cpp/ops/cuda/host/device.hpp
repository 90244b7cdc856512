// One GPU and the verbs on it. A decode step is captured into a graph the first time its bucket occurs, and replayed
// afterwards; every other step is launched kernel by kernel.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ops/cuda/host/batch_upload.hpp"
#include "ops/cuda/host/enqueue.hpp"
#include "ops/cuda/host/gemm.hpp"
#include "ops/cuda/host/nccl.hpp"
#include "ops/cuda/host/staging.hpp"
#include "ops/cuda/host/traffic.hpp"

namespace qwen3::cuda {

constexpr int64_t kHeadRows = 64;  // of logits on the device at a time

class Device {
public:
    Device(int ordinal, const Qwen3CudaShape& shape);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    void join(const Qwen3CudaGroupId& id, int rank, int size);
    const std::string& architecture() const { return architecture_; }
    size_t free_bytes() const;
    int64_t page_bytes() const { return kv_.page_bytes(); }
    size_t workspace_bytes() const;

    void* alloc(size_t bytes, const char* what);
    void release(void* memory);
    Staging::Buffer staging();
    void upload(void* to, size_t bytes);

    // Throws before anything has changed. stopped: see the ABI.
    void begin_step(const Qwen3CudaBatch& batch, std::byte* pages, bool timed, std::function<bool()> stopped);
    void embed(const Bf16* table, float* hidden);
    void norm_qkv(const float* hidden, const float* norm, const Bf16* wq, const Bf16* wk, const Bf16* wv, float* q,
                  float* k, float* v);
    void qk_norm_rope_append(float* q, const float* k, const float* v, const float* q_norm, const float* k_norm,
                             int64_t layer);
    void attention(const float* q, float* out, int64_t layer);
    void o_residual(const float* attn, const Bf16* wo, bool residual, float* hidden);
    void norm_gate_up_silu(const float* hidden, const float* norm, const Bf16* gate, const Bf16* up, float* act);
    void down_residual(const float* act, const Bf16* down, bool residual, float* hidden);
    void all_reduce_sum(float* hidden);
    void norm_head(const float* hidden, const float* norm, const Bf16* head, float* logits);
    void mark(int64_t index);
    void end_step();

    void elapsed(int64_t* ns, int64_t count) const;
    Qwen3CudaCounts counts() const;

private:
    enum class Mode { launch, capture, replay };

    struct Captured {
        GraphExec graph;
        Traffic traffic;
    };

    void use() const;  // this device, on this thread
    void settle();     // what a failed step left behind
    Mode choose(const Qwen3CudaBatch& batch, bool timed);
    void reserve(const Qwen3CudaBatch& batch);
    void capture();
    void wait();
    void drop_graphs() { graphs_.clear(); }

    // Calls it now, or when the step is captured, or not at all as the graph does it.
    template <class Call>
    void perform(Call&& call) {
        if (mode_ == Mode::launch) call();
        if (mode_ == Mode::capture) calls_.emplace_back(call);
    }
    // A verb of launch.hpp that takes that many kernels.
    template <class Launch>
    void kernels(int64_t count, const char* what, Launch&& launch) {
        traffic_.launch(count);
        enqueue(stream_.get(), what, launch);
    }
    void gemm(const Bf16* x, const Weight& w, int64_t rows, bool accumulate, float* y);
    void project(const float* x, const Weight& w, bool residual, float* hidden, const char* what);
    void download_logits(int64_t rows);
    void scatter_logits(int64_t first, int64_t end) const;
    void count(const Weight& w) { traffic_.move(w.rows * w.columns, sizeof(Bf16)); }
    void count_rows(int64_t columns, int64_t element_bytes = sizeof(float)) {
        traffic_.move(step_.bucket.rows * columns, element_bytes);
    }

    bool few_rows() const { return step_.bucket.rows <= kGemvRows; }
    int64_t vocab() const { return shape_.vocab_end - shape_.vocab_begin; }
    int64_t q_columns() const { return int64_t{heads_.query_heads} * shape_.dh; }
    int64_t kv_columns() const { return int64_t{heads_.kv_heads} * shape_.dh; }
    Bf16* rounded() const { return reinterpret_cast<Bf16*>(rounded_.data()); }
    float* logits() const { return reinterpret_cast<float*>(logits_.data()); }

    const int ordinal_;
    const Qwen3CudaShape shape_;
    const Heads heads_;
    std::string architecture_;
    OwnedStream stream_;
    Staging staging_;
    std::unique_ptr<Gemm> gemm_;
    std::unique_ptr<NcclRank> nccl_;  // in a group
    std::vector<Event> marks_;

    // Memory of the verbs. A graph holds addresses, so whatever moves drops the graphs.
    BatchUpload decode_batch_, ragged_batch_;
    DeviceBlock attention_workspace_, rounded_, up_, logits_;
    PinnedBlock host_logits_;

    // The step under way.
    bool open_ = false;
    bool decode_ = false;  // few rows, each of a sequence of its own: what graphs are made for
    Mode mode_ = Mode::launch;
    Step step_{};
    KvPages kv_{};
    std::function<bool()> stopped_;
    int64_t wanted_rows_ = 0;                   // of logits
    float* wanted_logits_ = nullptr;            // host, [wanted_rows, dvoc]
    std::vector<std::function<void()>> calls_;  // to be captured
    Traffic traffic_;
    int64_t cache_bytes_ = 0;                   // keys and values: more from step to step, whatever was captured

    std::map<int32_t, Captured> graphs_;        // by rows of the bucket
    std::set<int32_t> launched_;                // buckets that cannot be captured
    Qwen3CudaCounts counts_{};
};

}  // namespace qwen3::cuda
