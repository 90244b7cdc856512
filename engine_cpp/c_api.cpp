// c_api.h over qwen3::Engine: converts arguments, turns exceptions into status codes, and decides nothing itself.
#include "qwen3/c_api.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "qwen3/engine.hpp"
#include "qwen3/error.hpp"

struct Qwen3Model {
    std::shared_ptr<qwen3::Engine> engine;
};

struct Qwen3KVCache {
    std::shared_ptr<qwen3::KvCache> cache;
};

namespace {

using namespace qwen3;

thread_local std::string last_error;

Qwen3Status failed(Qwen3Status status, const char* what) noexcept {
    try {
        last_error = what;
    } catch (...) {
        last_error.clear();  // no memory for the message: the status alone has to do
    }
    return status;
}

template <typename Body>
Qwen3Status guarded(Body&& body) noexcept {
    last_error.clear();
    try {
        body();
        return QWEN3_SUCCESS;
    } catch (const ConfigError& e) {
        return failed(QWEN3_ERROR_CONFIG, e.what());
    } catch (const CheckpointError& e) {
        return failed(QWEN3_ERROR_CHECKPOINT, e.what());
    } catch (const DeviceError& e) {
        return failed(QWEN3_ERROR_DEVICE, e.what());
    } catch (const OutOfMemory& e) {
        return failed(QWEN3_ERROR_OUT_OF_MEMORY, e.what());
    } catch (const std::bad_alloc&) {
        return failed(QWEN3_ERROR_OUT_OF_MEMORY, "out of host memory");
    } catch (const ContextOverflow& e) {
        return failed(QWEN3_ERROR_CONTEXT_OVERFLOW, e.what());
    } catch (const Cancelled& e) {
        return failed(QWEN3_ERROR_CANCELLED, e.what());
    } catch (const std::exception& e) {
        return failed(QWEN3_ERROR_INTERNAL, e.what());
    } catch (...) {
        return failed(QWEN3_ERROR_INTERNAL, "unknown error");
    }
}

template <typename T>
T& required(T* pointer, const char* name) {
    if (pointer == nullptr) throw ConfigError(std::string(name) + " is null");
    return *pointer;
}

int64_t to_signed(size_t value, const char* name) {
    if (value > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
        throw ConfigError(std::string(name) + " = " + std::to_string(value) + " is out of range");
    return static_cast<int64_t>(value);
}

int32_t to_token(uint32_t id, const char* name) { return static_cast<int32_t>(to_signed(id, name)); }

Meta to_meta(const Qwen3Meta& meta) {
    Meta result;
    result.nlayer = to_signed(meta.nlayer, "nlayer");
    result.d = to_signed(meta.d, "d");
    result.nh = to_signed(meta.nh, "nh");
    result.nkvh = to_signed(meta.nkvh, "nkvh");
    result.dh = to_signed(meta.dh, "dh");
    result.di = to_signed(meta.di, "di");
    result.dctx = to_signed(meta.dctx, "dctx");
    result.dvoc = to_signed(meta.dvoc, "dvoc");
    result.epsilon = meta.epsilon;
    result.theta = meta.theta;
    result.tie_embd = meta.tie_embd != 0;
    if (meta.yarn_factor != 0.0F) result.yarn.factor = meta.yarn_factor;
    result.yarn.original_dctx = to_signed(meta.yarn_original_dctx, "yarn_original_dctx");
    result.experts.count = to_signed(meta.nexpert, "nexpert");
    result.experts.per_token = to_signed(meta.nexpert_per_token, "nexpert_per_token");
    result.experts.di = to_signed(meta.dexpert, "dexpert");
    result.experts.normalised = meta.norm_topk != 0;
    if (meta.n_dense_layers > 0) required(meta.dense_layers, "dense_layers");
    for (size_t i = 0; i < meta.n_dense_layers; ++i)
        result.experts.dense_layers.push_back(to_signed(meta.dense_layers[i], "dense_layers"));
    if (meta.n_end_tokens > 0) required(meta.end_tokens, "end_tokens");
    for (size_t i = 0; i < meta.n_end_tokens; ++i)
        result.end_tokens.push_back(to_token(meta.end_tokens[i], "end_tokens"));
    result.validate();
    return result;
}

std::optional<DType> to_dtype(Qwen3DataType dtype) {
    switch (dtype) {
        case QWEN3_F32: return DType::f32;
        case QWEN3_F16: return DType::f16;
        case QWEN3_BF16: return DType::bf16;
        default: return std::nullopt;
    }
}

TensorView to_view(const Qwen3Tensor& tensor, const Place& place) {
    if (tensor.data == nullptr) return {};
    const std::string name = place_name(place);
    const std::optional<DType> dtype = to_dtype(tensor.dtype);
    if (!dtype)
        throw CheckpointError(name + ": dtype " + std::to_string(tensor.dtype) +
                              " is not one of a tensor: expected QWEN3_F32, QWEN3_F16 or QWEN3_BF16");
    if (tensor.ndim < 1 || tensor.ndim > 2)
        throw CheckpointError(name + ": ndim = " + std::to_string(tensor.ndim) + ": expected 1 or 2");
    TensorView view;
    view.data = static_cast<const std::byte*>(tensor.data);
    view.dtype = *dtype;
    for (size_t axis = 0; axis < tensor.ndim; ++axis) view.shape.push_back(to_signed(tensor.shape[axis], name.c_str()));
    return view;
}

Weights to_weights(const Qwen3Weights& weights, const Meta& meta) {
    if (to_signed(weights.nlayer, "weights.nlayer") != meta.nlayer)
        throw ConfigError("weights.nlayer = " + std::to_string(weights.nlayer) +
                          ", but meta.nlayer = " + std::to_string(meta.nlayer));
    Weights result(meta.nlayer, meta.experts.count);
    result.at(Slot::input_embd) = to_view(weights.input_embd, {Slot::input_embd});
    result.at(Slot::output_norm) = to_view(weights.output_norm, {Slot::output_norm});
    result.at(Slot::output_embd) = to_view(weights.output_embd, {Slot::output_embd});
    const std::array<std::pair<Slot, const Qwen3Tensor*>, kSlots - kGlobalSlots> layered = {{
        {Slot::attn_norm, weights.attn_norm},
        {Slot::attn_q_norm, weights.attn_q_norm},
        {Slot::attn_k_norm, weights.attn_k_norm},
        {Slot::attn_q_proj, weights.attn_q_proj},
        {Slot::attn_k_proj, weights.attn_k_proj},
        {Slot::attn_v_proj, weights.attn_v_proj},
        {Slot::attn_o_proj, weights.attn_o_proj},
        {Slot::ffn_norm, weights.ffn_norm},
        {Slot::mlp_gate_proj, weights.mlp_gate_proj},
        {Slot::mlp_up_proj, weights.mlp_up_proj},
        {Slot::mlp_down_proj, weights.mlp_down_proj},
        {Slot::moe_router, weights.moe_router},
        {Slot::expert_gate_proj, weights.expert_gate_proj},
        {Slot::expert_up_proj, weights.expert_up_proj},
        {Slot::expert_down_proj, weights.expert_down_proj},
    }};
    for (const auto& [slot, tensors] : layered) {
        if (tensors == nullptr) continue;  // the engine names what is missing
        const int64_t of_a_layer = per_expert(slot) ? meta.experts.count : 1;
        for (int64_t i = 0; i < meta.nlayer * of_a_layer; ++i) {
            const Place place{slot, i / of_a_layer, i % of_a_layer};
            result.at(place) = to_view(tensors[i], place);
        }
    }
    return result;
}

std::vector<std::string> to_devices(Qwen3DeviceType type, int ndev, const int* ids) {
    if (type != QWEN3_DEVICE_CPU && type != QWEN3_DEVICE_CUDA)
        throw DeviceError("device type " + std::to_string(type) + " is unknown");
    if (ndev < 1) throw ConfigError("ndev = " + std::to_string(ndev) + ": expected at least one device");
    required(ids, "dev_ids");
    std::vector<std::string> names;
    for (int i = 0; i < ndev; ++i)
        names.push_back((type == QWEN3_DEVICE_CPU ? "cpu:" : "cuda:") + std::to_string(ids[i]));
    return names;
}

// The ragged batch of a call, with every cache cut to where its request begins.
struct Batch {
    std::vector<int32_t> tokens;
    std::vector<StepRequest> requests;
};

Batch to_batch(const uint32_t* tokens, size_t ntok, const size_t* req_lens, size_t nreq, const size_t* req_pos,
               Qwen3KVCache* const* kv_caches, LogitsRows rows) {
    required(tokens, "tokens");
    required(req_lens, "req_lens");
    required(req_pos, "req_pos");
    required(kv_caches, "kv_caches");
    Batch batch;
    for (size_t i = 0; i < ntok; ++i) batch.tokens.push_back(to_token(tokens[i], "tokens"));
    size_t begin = 0;
    for (size_t i = 0; i < nreq; ++i) {
        const std::string index = "[" + std::to_string(i) + "]";
        const auto& cache = required(kv_caches[i], ("kv_caches" + index).c_str()).cache;
        if (req_lens[i] == 0 || req_lens[i] > ntok - begin)
            throw ConfigError("req_lens" + index + " = " + std::to_string(req_lens[i]) + ": " +
                              std::to_string(ntok - begin) + " tokens are left");
        if (req_pos[i] > static_cast<size_t>(cache->size()))
            throw ConfigError("req_pos" + index + " = " + std::to_string(req_pos[i]) +
                              " leaves a hole: the cache holds " + std::to_string(cache->size()) + " tokens");
        batch.requests.push_back({.tokens = {batch.tokens.data() + begin, req_lens[i]}, .cache = cache, .rows = rows});
        begin += req_lens[i];
    }
    if (nreq == 0 || begin != ntok)
        throw ConfigError("req_lens sum to " + std::to_string(begin) + ", but ntok = " + std::to_string(ntok));
    for (size_t i = 0; i < nreq; ++i) batch.requests[i].cache->truncate(static_cast<int64_t>(req_pos[i]));
    return batch;
}

}  // namespace

extern "C" {

const char* qwen3LastError(void) { return last_error.c_str(); }

Qwen3Status createQwen3Model(const Qwen3Meta* meta, const Qwen3Weights* weights, Qwen3DeviceType device, int ndev,
                             const int* dev_ids, Qwen3Model** model) {
    return guarded([&] {
        required(model, "model") = nullptr;
        const Meta shape = to_meta(required(meta, "meta"));
        EngineOptions options;
        options.devices = to_devices(device, ndev, dev_ids);
        options.kv = to_dtype(meta->dt_logits);
        if (!options.kv && meta->dt_logits != QWEN3_AUTO)
            throw ConfigError("dt_logits = " + std::to_string(meta->dt_logits) + " is not a data type");
        auto created = std::make_unique<Qwen3Model>();
        created->engine = Engine::create(shape, to_weights(required(weights, "weights"), shape), options);
        *model = created.release();
    });
}

Qwen3Status destroyQwen3Model(Qwen3Model* model) {
    return guarded([&] {
        const std::unique_ptr<Qwen3Model> owned(model);
        if (owned) owned->engine->close();
    });
}

Qwen3Status createQwen3KVCache(Qwen3Model* model, Qwen3KVCache** cache) {
    return guarded([&] {
        required(cache, "cache") = nullptr;
        *cache = new Qwen3KVCache{required(model, "model").engine->new_cache()};
    });
}

Qwen3Status duplicateQwen3KVCache(Qwen3Model* model, const Qwen3KVCache* cache, size_t seq_len, Qwen3KVCache** copy) {
    return guarded([&] {
        required(copy, "copy") = nullptr;
        required(model, "model");
        *copy = new Qwen3KVCache{required(cache, "cache").cache->fork(to_signed(seq_len, "seq_len"))};
    });
}

Qwen3Status dropQwen3KVCache(Qwen3Model* model, Qwen3KVCache* cache) {
    return guarded([&] {
        required(model, "model");
        const std::unique_ptr<Qwen3KVCache> owned(cache);
    });
}

Qwen3Status inferQwen3Batch(Qwen3Model* model, const uint32_t* tokens, size_t ntok, const size_t* req_lens, size_t nreq,
                            const size_t* req_pos, Qwen3KVCache* const* kv_caches, const float* temperature,
                            const uint32_t* topk, const float* topp, const uint64_t* seed, uint32_t* output) {
    return guarded([&] {
        Engine& engine = *required(model, "model").engine;
        required(temperature, "temperature");
        required(topk, "topk");
        required(topp, "topp");
        required(seed, "seed");
        required(output, "output");
        std::vector<SamplingParams> params(nreq);
        for (size_t i = 0; i < nreq; ++i) {
            params[i].temperature = temperature[i];
            params[i].top_k = static_cast<int32_t>(std::min<uint32_t>(topk[i], std::numeric_limits<int32_t>::max()));
            params[i].top_p = topp[i];
            params[i].seed = seed[i];
            params[i].validate();
        }
        Batch batch = to_batch(tokens, ntok, req_lens, nreq, req_pos, kv_caches, LogitsRows::last);
        const auto dvoc = static_cast<size_t>(engine.meta().dvoc);
        std::vector<float> logits(nreq * dvoc);
        for (size_t i = 0; i < nreq; ++i) batch.requests[i].logits = logits.data() + i * dvoc;
        engine.step(batch.requests);
        for (size_t i = 0; i < nreq; ++i) {
            const std::vector<int32_t> context = kv_caches[i]->cache->tokens();
            output[i] = static_cast<uint32_t>(engine.sample({logits.data() + i * dvoc, dvoc}, params[i], context,
                                                            static_cast<int64_t>(context.size())));
        }
    });
}

Qwen3Status forwardQwen3Batch(Qwen3Model* model, const uint32_t* tokens, size_t ntok, const size_t* req_lens,
                              size_t nreq, const size_t* req_pos, Qwen3KVCache* const* kv_caches, float* logits) {
    return guarded([&] {
        Engine& engine = *required(model, "model").engine;
        float* row = &required(logits, "logits");
        Batch batch = to_batch(tokens, ntok, req_lens, nreq, req_pos, kv_caches, LogitsRows::all);
        for (StepRequest& request : batch.requests) {
            request.logits = row;
            row += request.tokens.size() * static_cast<size_t>(engine.meta().dvoc);
        }
        engine.step(batch.requests);
    });
}

}  // extern "C"
