// The engine: a model sharded over devices, one thread that owns the request queue, and the KV pages.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qwen3/generation.hpp"
#include "qwen3/kv_cache.hpp"
#include "qwen3/meta.hpp"
#include "qwen3/profile.hpp"
#include "qwen3/sampling.hpp"
#include "qwen3/weights.hpp"

namespace qwen3 {

constexpr int64_t kPageTokens = 64;

struct EngineOptions {
    std::vector<std::string> devices = {"cpu:0"};  // one worker each, or {"auto"}; "cpu:N" is logical, "cuda:N" a GPU
    std::optional<WeightType> weights;             // nullopt = as the weights come; on GPUs bf16
    std::optional<DType> kv;                       // nullopt = f32 for f32 weights, else bf16
    int64_t context = 0;                           // tokens; 0 = meta.dctx
    int threads = 0;                               // over all CPU devices; 0 = the physical cores this process may use
    int64_t kv_budget = 0;                         // bytes; 0 = the smaller of half the free memory and 4 contexts
    int64_t prefill_chunk = 256;                   // most prompt tokens in one step
};

// The devices that "auto" stands for: every GPU; where there is none, or not with `gpus`, one CPU device a NUMA node.
// No more than there are query heads, or on CPUs threads (0 = as above).
std::vector<std::string> default_devices(int64_t query_heads, int threads = 0, bool gpus = true);

// What keeps this machine from GPUs and what to do about it; nullopt: it has some.
std::optional<std::string> why_no_gpu();

// What keeps a model with such an option for its weights from GPUs, wherever it runs; nullopt: nothing.
std::optional<std::string> gpu_obstacle(const Meta& meta, std::optional<WeightType> weights);

// Called with bytes done and in all, on the thread that waits for the load; false cancels it.
using ProgressFn = std::function<bool(std::string_view stage, int64_t done, int64_t total)>;

enum class LogitsRows : uint8_t { none, last, all };

struct StepRequest {
    std::span<const int32_t> tokens;
    std::shared_ptr<KvCache> cache;
    LogitsRows rows = LogitsRows::last;
    float* logits = nullptr;  // [rows, dvoc], caller's
};

struct GenerationRequest {
    std::vector<int32_t> tokens;     // the whole context; what the cache already holds is reused
    std::shared_ptr<KvCache> cache;  // null = a fresh one
    SamplingParams sampling;
    bool background = false;         // only when nothing else wants to run
};

struct Memory {
    int64_t weights = 0;           // bytes, repacked, over all devices
    int64_t weights_per_step = 0;  // of them: what a step of one token reads; not an embedding table apart from the
                                   // head, nor the experts that the token does not take
    int64_t activations = 0;       // bytes
    int64_t kv_used = 0;           // bytes of pages in use
    int64_t kv_budget = 0;         // bytes
    int64_t kv_pages_used = 0;
    int64_t kv_pages_total = 0;
    int64_t kv_bytes_per_token = 0;
};

class Engine {
public:
    // Reads the weights in place and repacks them; they may be freed once this returns.
    // Throws ConfigError, CheckpointError, DeviceError, OutOfMemory, Cancelled.
    static std::shared_ptr<Engine> create(const Meta& meta, const Weights& weights, const EngineOptions& options,
                                          const ProgressFn& progress = {});
    virtual ~Engine() = default;

    virtual const Meta& meta() const = 0;
    virtual const std::vector<std::string>& devices() const = 0;
    virtual WeightType weight_type() const = 0;
    virtual DType kv_dtype() const = 0;
    virtual int64_t context() const = 0;
    virtual int threads() const = 0;
    virtual std::string_view isa() const = 0;  // the instruction set the CPU kernels run on

    virtual std::shared_ptr<KvCache> new_cache() = 0;

    // Queues a reply and returns at once. Throws ConfigError (bad ids or sampling, cache in use) and
    // ContextOverflow (the prompt leaves no room for a token).
    virtual std::unique_ptr<Generation> generate(GenerationRequest request) = 0;

    // One explicit ragged batch: appends each request's tokens to its cache and writes the logits that it asks for.
    // Blocks. All or nothing: on an error no cache has changed. A cache may appear once.
    virtual void step(std::span<const StepRequest> requests) = 0;

    // Logits of every position of ids on a cache of its own: [n, dvoc]. Blocks.
    virtual void forward(std::span<const int32_t> ids, float* logits) = 0;

    // Draws one token from a row of logits [dvoc] exactly as a generation at this position would.
    virtual int32_t sample(std::span<const float> logits, const SamplingParams& params,
                           std::span<const int32_t> context, int64_t prompt_tokens) const = 0;

    virtual Memory memory() const = 0;
    virtual Profile profile() const = 0;
    virtual void reset_profile() = 0;

    // Cancels what runs, stops the threads and frees weights and pages. Later calls throw DeviceError.
    virtual void close() = 0;
};

}  // namespace qwen3
