/* The original C API (Jiuge -> Qwen3), kept alive over the engine. No exception crosses it: every function returns a
 * status, and qwen3LastError() says what went wrong on the calling thread. */
#ifndef QWEN3_C_API_H
#define QWEN3_C_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    QWEN3_SUCCESS = 0,
    QWEN3_ERROR_CONFIG = 1,     /* a shape or argument that contradicts itself */
    QWEN3_ERROR_CHECKPOINT = 2, /* a weight that is missing or wrongly shaped */
    QWEN3_ERROR_DEVICE = 3,
    QWEN3_ERROR_OUT_OF_MEMORY = 4,
    QWEN3_ERROR_CONTEXT_OVERFLOW = 5,
    QWEN3_ERROR_CANCELLED = 6,
    QWEN3_ERROR_INTERNAL = 7
} Qwen3Status;

typedef enum { QWEN3_F32 = 0, QWEN3_F16 = 1, QWEN3_BF16 = 2, QWEN3_AUTO = 255 } Qwen3DataType;
typedef enum { QWEN3_DEVICE_CPU = 0, QWEN3_DEVICE_CUDA = 1 } Qwen3DeviceType;

typedef struct {
    size_t nlayer, d, nh, nkvh, dh, di, dctx, dvoc;
    float epsilon, theta;
    const uint32_t* end_tokens; /* may be null when n_end_tokens is 0 */
    size_t n_end_tokens;
    int tie_embd;               /* non-zero: output_embd is input_embd */
    Qwen3DataType dt_logits;    /* storage of the KV cache; QWEN3_AUTO = f32 for f32 weights, else bf16 */
    float yarn_factor;          /* YaRN: dctx over the context of the training; 0 or 1: plain RoPE */
    size_t yarn_original_dctx;  /* tokens of the training's context */
    size_t nexpert;             /* mixture of experts: of a layer; 0: a dense model, and what follows does not count */
    size_t nexpert_per_token;   /* that a token takes */
    size_t dexpert;             /* intermediate size of one */
    int norm_topk;              /* non-zero: the weights of those taken sum to 1 */
    const size_t* dense_layers; /* ascending: layers that have an MLP instead; may be null when there are none */
    size_t n_dense_layers;
} Qwen3Meta;

/* A host tensor, row-major and contiguous; read while createQwen3Model runs. A null data pointer is an empty slot. */
typedef struct {
    const void* data;
    Qwen3DataType dtype;
    size_t ndim;
    size_t shape[2];
} Qwen3Tensor;

/* Arrays have nlayer entries, empty where a layer has no such weight. Projections are [out, in] as in the checkpoint.
 */
typedef struct {
    size_t nlayer;
    Qwen3Tensor input_embd;           /* [dvoc, d] */
    Qwen3Tensor output_norm;          /* [d] */
    Qwen3Tensor output_embd;          /* [dvoc, d]; empty when tied */
    const Qwen3Tensor* attn_norm;     /* [d] */
    const Qwen3Tensor* attn_q_norm;   /* [dh] */
    const Qwen3Tensor* attn_k_norm;   /* [dh] */
    const Qwen3Tensor* attn_q_proj;   /* [nh*dh, d] */
    const Qwen3Tensor* attn_k_proj;   /* [nkvh*dh, d] */
    const Qwen3Tensor* attn_v_proj;   /* [nkvh*dh, d] */
    const Qwen3Tensor* attn_o_proj;   /* [d, nh*dh] */
    const Qwen3Tensor* ffn_norm;      /* [d] */
    const Qwen3Tensor* mlp_gate_proj; /* [di, d] */
    const Qwen3Tensor* mlp_up_proj;   /* [di, d] */
    const Qwen3Tensor* mlp_down_proj; /* [d, di] */
    const Qwen3Tensor* moe_router;    /* [nexpert, d]; this and what follows: null for a dense model */
    /* nlayer * nexpert entries, a layer's one behind the other */
    const Qwen3Tensor* expert_gate_proj; /* [dexpert, d] */
    const Qwen3Tensor* expert_up_proj;   /* [dexpert, d] */
    const Qwen3Tensor* expert_down_proj; /* [d, dexpert] */
} Qwen3Weights;

typedef struct Qwen3Model Qwen3Model;
typedef struct Qwen3KVCache Qwen3KVCache;

/* The message of the last failure on this thread, or "". Valid until the next call on this thread. */
const char* qwen3LastError(void);

/* A model sharded over ndev devices of one type. */
Qwen3Status createQwen3Model(const Qwen3Meta* meta, const Qwen3Weights* weights, Qwen3DeviceType device, int ndev,
                             const int* dev_ids, Qwen3Model** model);
Qwen3Status destroyQwen3Model(Qwen3Model* model);

Qwen3Status createQwen3KVCache(Qwen3Model* model, Qwen3KVCache** cache);
/* The first seq_len tokens, sharing pages copy-on-write. */
Qwen3Status duplicateQwen3KVCache(Qwen3Model* model, const Qwen3KVCache* cache, size_t seq_len, Qwen3KVCache** copy);
Qwen3Status dropQwen3KVCache(Qwen3Model* model, Qwen3KVCache* cache);

/* One ragged step, prefill and decode mixed. tokens: ntok ids, the requests' one after the other; req_lens[nreq];
 * req_pos[nreq]: where each request's tokens begin in its cache (what lies behind is forgotten; a hole is an error).
 * temperature, topk, topp, seed: [nreq]; output: [nreq], the token drawn for each. */
Qwen3Status inferQwen3Batch(Qwen3Model* model, const uint32_t* tokens, size_t ntok, const size_t* req_lens, size_t nreq,
                            const size_t* req_pos, Qwen3KVCache* const* kv_caches, const float* temperature,
                            const uint32_t* topk, const float* topp, const uint64_t* seed, uint32_t* output);

/* The same step without sampling: logits [ntok, dvoc] in float32. */
Qwen3Status forwardQwen3Batch(Qwen3Model* model, const uint32_t* tokens, size_t ntok, const size_t* req_lens,
                              size_t nreq, const size_t* req_pos, Qwen3KVCache* const* kv_caches, float* logits);

#ifdef __cplusplus
}
#endif
#endif
