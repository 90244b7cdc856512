/* The seam between the engine's core and its CUDA plugin: one versioned table of C functions. The core includes no
 * header of CUDA, the plugin none of the core but this one.
 *
 * Pointers of type Qwen3CudaMemory are addresses of a device. A function that returns a status other than
 * QWEN3_CUDA_OK has left a message, with its remedy, for last_error() on the same thread. One thread at a time uses a
 * device. */
#ifndef QWEN3_CUDA_ABI_H
#define QWEN3_CUDA_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QWEN3_CUDA_ABI_VERSION 1
#define QWEN3_CUDA_MAX_HEAD_DIM 256
#define QWEN3_CUDA_PAGE_TOKENS 64
/* A decode step of at most so many rows is padded to a power of two of them and captured, one of more is launched
 * kernel by kernel. So what holds a row for each token has room for these rows at least. */
#define QWEN3_CUDA_GRAPH_ROWS 16

enum Qwen3CudaStatus {
    QWEN3_CUDA_OK = 0,
    QWEN3_CUDA_CONFIG_ERROR = 1,
    QWEN3_CUDA_DEVICE_ERROR = 2,
    QWEN3_CUDA_OUT_OF_MEMORY = 3,
    QWEN3_CUDA_CANCELLED = 4,
};

typedef struct Qwen3CudaDevice Qwen3CudaDevice;
typedef void* Qwen3CudaMemory;

/* What a device holds of the model. Ranges are half-open. */
typedef struct Qwen3CudaShape {
    int64_t nlayer, d, dh, group; /* group: query heads per KV head */
    int64_t query_heads_begin, query_heads_end;
    int64_t kv_heads_begin, kv_heads_end;
    int64_t mlp;     /* intermediate neurons */
    int64_t vocab_begin, vocab_end, dvoc;
    int64_t context; /* tokens of the longest sequence */
    float epsilon;
    int32_t kv_f32;  /* keys and values in f32 instead of bf16 */
} Qwen3CudaShape;

/* A group of devices meets under this name. */
typedef struct Qwen3CudaGroupId {
    char bytes[128];
} Qwen3CudaGroupId;

typedef struct Qwen3CudaSequence {
    int64_t first_row, rows, first_position;
    const int32_t* pages; /* [page_count] */
    int64_t page_count;
} Qwen3CudaSequence;

/* One ragged step, in host memory; read by begin_step and not after it. */
typedef struct Qwen3CudaBatch {
    int64_t ntok, nrows, sequence_count, copy_count;
    const int32_t* tokens;     /* [ntok] */
    const int32_t* positions;  /* [ntok] */
    const int32_t* logit_rows; /* [nrows] */
    const Qwen3CudaSequence* sequences;
    const int32_t* copies;     /* [copy_count, 2]: from, to */
    const float* cos;          /* [ntok, dh / 2] */
    const float* sin;
} Qwen3CudaBatch;

/* Of the step that ended last. */
typedef struct Qwen3CudaCounts {
    int64_t launches;    /* kernels, cuBLAS's included */
    int64_t collectives; /* NCCL's */
    int64_t bytes;       /* that the kernels read and wrote in device memory, each operand once */
    int64_t replayed;    /* 1: the step ran as a captured graph */
} Qwen3CudaCounts;

/* Nonzero: another rank has failed, and waiting for it ends with QWEN3_CUDA_CANCELLED. */
typedef int32_t (*Qwen3CudaStopped)(void* context);

typedef struct Qwen3CudaApi {
    uint32_t version;
    uint32_t size; /* of this table, bytes */

    const char* (*last_error)(void);
    int32_t (*device_count)(int32_t* count);
    int32_t (*group_id)(Qwen3CudaGroupId* id);

    int32_t (*open)(int32_t ordinal, const Qwen3CudaShape* shape, Qwen3CudaDevice** device);
    void (*close)(Qwen3CudaDevice* device);
    /* Called by every rank at the same time. */
    int32_t (*join)(Qwen3CudaDevice* device, const Qwen3CudaGroupId* id, int32_t rank, int32_t size);
    const char* (*architecture)(const Qwen3CudaDevice* device); /* "sm_90", and what does not work there */
    int32_t (*free_bytes)(Qwen3CudaDevice* device, int64_t* bytes);
    int64_t (*page_bytes)(const Qwen3CudaDevice* device);
    int64_t (*workspace_bytes)(const Qwen3CudaDevice* device);

    int32_t (*alloc)(Qwen3CudaDevice* device, size_t bytes, const char* what, Qwen3CudaMemory* memory);
    void (*release)(Qwen3CudaDevice* device, Qwen3CudaMemory memory);
    /* Page-locked host memory that no copy uses any more; upload() queues a copy of its first bytes. */
    int32_t (*staging)(Qwen3CudaDevice* device, void** host, size_t* bytes);
    int32_t (*upload)(Qwen3CudaDevice* device, Qwen3CudaMemory to, size_t bytes);

    /* A step. timed: no graph is replayed, so that marks may lie between the verbs. */
    int32_t (*begin_step)(Qwen3CudaDevice* device, const Qwen3CudaBatch* batch, Qwen3CudaMemory pages, int32_t timed,
                          Qwen3CudaStopped stopped, void* context);
    int32_t (*embed)(Qwen3CudaDevice* device, Qwen3CudaMemory table, Qwen3CudaMemory hidden);
    int32_t (*norm_qkv)(Qwen3CudaDevice* device, Qwen3CudaMemory hidden, Qwen3CudaMemory norm, Qwen3CudaMemory wq,
                        Qwen3CudaMemory wk, Qwen3CudaMemory wv, Qwen3CudaMemory q, Qwen3CudaMemory k,
                        Qwen3CudaMemory v);
    int32_t (*qk_norm_rope_append)(Qwen3CudaDevice* device, Qwen3CudaMemory q, Qwen3CudaMemory k, Qwen3CudaMemory v,
                                   Qwen3CudaMemory q_norm, Qwen3CudaMemory k_norm, int64_t layer);
    int32_t (*attention)(Qwen3CudaDevice* device, Qwen3CudaMemory q, Qwen3CudaMemory out, int64_t layer);
    int32_t (*o_residual)(Qwen3CudaDevice* device, Qwen3CudaMemory attn, Qwen3CudaMemory wo, int32_t residual,
                          Qwen3CudaMemory hidden);
    int32_t (*norm_gate_up_silu)(Qwen3CudaDevice* device, Qwen3CudaMemory hidden, Qwen3CudaMemory norm,
                                 Qwen3CudaMemory gate, Qwen3CudaMemory up, Qwen3CudaMemory act);
    int32_t (*down_residual)(Qwen3CudaDevice* device, Qwen3CudaMemory act, Qwen3CudaMemory down, int32_t residual,
                             Qwen3CudaMemory hidden);
    int32_t (*all_reduce_sum)(Qwen3CudaDevice* device, Qwen3CudaMemory hidden);
    /* logits: host memory [nrows, dvoc], this shard's columns are written; valid after end_step. */
    int32_t (*norm_head)(Qwen3CudaDevice* device, Qwen3CudaMemory hidden, Qwen3CudaMemory norm, Qwen3CudaMemory head,
                         float* logits);
    /* A time stamp in the stream. */
    int32_t (*mark)(Qwen3CudaDevice* device, int64_t index);
    int32_t (*end_step)(Qwen3CudaDevice* device);

    /* ns[i] from mark i to mark i + 1, all of them passed. */
    int32_t (*elapsed)(Qwen3CudaDevice* device, int64_t* ns, int64_t count);
    void (*counts)(const Qwen3CudaDevice* device, Qwen3CudaCounts* counts);
} Qwen3CudaApi;

/* The one symbol that the plugin exports. */
const Qwen3CudaApi* qwen3_cuda_api(void);
typedef const Qwen3CudaApi* (*Qwen3CudaEntry)(void);

#ifdef __cplusplus
}
#endif

#endif
