/* The original API from plain C: dummy weights in memory, on one and two devices. Exit code 0 = every check held. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qwen3/c_api.h"

enum { NLAYER = 2, D = 32, NH = 4, NKVH = 2, DH = 8, DI = 48, DCTX = 256, DVOC = 67, MAX_ROWS = 96 };

static int failures = 0;

#define CHECK(condition)                                                                                          \
    do {                                                                                                          \
        if (!(condition)) {                                                                                       \
            ++failures;                                                                                           \
            fprintf(stderr, "%s:%d: %s\n    last error: %s\n", __FILE__, __LINE__, #condition, qwen3LastError()); \
        }                                                                                                         \
    } while (0)

/* ---- dummy weights --------------------------------------------------------------------------------------------- */

typedef struct {
    Qwen3Weights slots;
    Qwen3Tensor layered[11][NLAYER];
    float* arrays[4 + 11 * NLAYER];
    size_t count;
} Dummy;

static uint32_t random_state = 1;

static float uniform(void) { /* [-1, 1) */
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 8) / 8388608.0f - 1.0f;
}

static Qwen3Tensor tensor(Dummy* dummy, size_t ndim, size_t rows, size_t columns, float centre, float spread) {
    const size_t size = ndim == 1 ? rows : rows * columns;
    float* data = malloc(size * sizeof(float));
    if (data == NULL) exit(2);
    for (size_t i = 0; i < size; ++i) data[i] = centre + spread * uniform();
    dummy->arrays[dummy->count++] = data;
    const Qwen3Tensor result = {data, QWEN3_F32, ndim, {rows, columns}};
    return result;
}

static Qwen3Tensor norm(Dummy* dummy, size_t n) { return tensor(dummy, 1, n, 0, 1.0f, 0.3f); }

static Qwen3Tensor matrix(Dummy* dummy, size_t rows, size_t columns) {
    return tensor(dummy, 2, rows, columns, 0.0f, 1.7f / sqrtf((float)columns));
}

static void fill(Dummy* dummy) {
    memset(dummy, 0, sizeof *dummy);
    Qwen3Weights* slots = &dummy->slots;
    slots->nlayer = NLAYER;
    slots->input_embd = matrix(dummy, DVOC, D);
    slots->output_norm = norm(dummy, D);
    slots->output_embd = matrix(dummy, DVOC, D);
    for (int layer = 0; layer < NLAYER; ++layer) {
        dummy->layered[0][layer] = norm(dummy, D);
        dummy->layered[1][layer] = norm(dummy, DH);
        dummy->layered[2][layer] = norm(dummy, DH);
        dummy->layered[3][layer] = matrix(dummy, NH * DH, D);
        dummy->layered[4][layer] = matrix(dummy, NKVH * DH, D);
        dummy->layered[5][layer] = matrix(dummy, NKVH * DH, D);
        dummy->layered[6][layer] = matrix(dummy, D, NH * DH);
        dummy->layered[7][layer] = norm(dummy, D);
        dummy->layered[8][layer] = matrix(dummy, DI, D);
        dummy->layered[9][layer] = matrix(dummy, DI, D);
        dummy->layered[10][layer] = matrix(dummy, D, DI);
    }
    slots->attn_norm = dummy->layered[0];
    slots->attn_q_norm = dummy->layered[1];
    slots->attn_k_norm = dummy->layered[2];
    slots->attn_q_proj = dummy->layered[3];
    slots->attn_k_proj = dummy->layered[4];
    slots->attn_v_proj = dummy->layered[5];
    slots->attn_o_proj = dummy->layered[6];
    slots->ffn_norm = dummy->layered[7];
    slots->mlp_gate_proj = dummy->layered[8];
    slots->mlp_up_proj = dummy->layered[9];
    slots->mlp_down_proj = dummy->layered[10];
}

static void release(Dummy* dummy) {
    for (size_t i = 0; i < dummy->count; ++i) free(dummy->arrays[i]);
}

static Qwen3Meta shape(void) {
    static const uint32_t end_tokens[] = {1, 2};
    const Qwen3Meta meta = {.nlayer = NLAYER,
                            .d = D,
                            .nh = NH,
                            .nkvh = NKVH,
                            .dh = DH,
                            .di = DI,
                            .dctx = DCTX,
                            .dvoc = DVOC,
                            .epsilon = 1e-6f,
                            .theta = 1e4f,
                            .end_tokens = end_tokens,
                            .n_end_tokens = 2,
                            .dt_logits = QWEN3_AUTO};
    return meta;
}

/* ---- helpers --------------------------------------------------------------------------------------------------- */

static Qwen3Model* create(int ndev) {
    static const int ids[] = {0, 1};
    Dummy dummy;
    random_state = 1;
    fill(&dummy);
    const Qwen3Meta meta = shape();
    Qwen3Model* model = NULL;
    CHECK(createQwen3Model(&meta, &dummy.slots, QWEN3_DEVICE_CPU, ndev, ids, &model) == QWEN3_SUCCESS);
    release(&dummy); /* the weights were read while creating */
    return model;
}

static Qwen3KVCache* cache_of(Qwen3Model* model) {
    Qwen3KVCache* cache = NULL;
    CHECK(createQwen3KVCache(model, &cache) == QWEN3_SUCCESS);
    return cache;
}

static Qwen3Status forward(Qwen3Model* model, const uint32_t* tokens, size_t count, size_t position,
                           Qwen3KVCache* cache, float* logits) {
    return forwardQwen3Batch(model, tokens, count, &count, 1, &position, &cache, logits);
}

static float largest_difference(const float* a, const float* b, size_t n) { /* relative to the largest of b */
    float difference = 0.0f, scale = 0.0f;
    for (size_t i = 0; i < n; ++i) {
        difference = fmaxf(difference, fabsf(a[i] - b[i]));
        scale = fmaxf(scale, fabsf(b[i]));
    }
    return isfinite(scale) && scale > 0.0f ? difference / scale : INFINITY;
}

static uint32_t argmax(const float* row) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < DVOC; ++i)
        if (row[i] > row[best]) best = i;
    return best;
}

/* ---- checks ---------------------------------------------------------------------------------------------------- */

static void check_batches(Qwen3Model* model, const uint32_t* tokens) {
    static float whole[MAX_ROWS * DVOC], pieces[MAX_ROWS * DVOC], batch[MAX_ROWS * DVOC];
    Qwen3KVCache* a = cache_of(model);
    CHECK(forward(model, tokens, MAX_ROWS, 0, a, whole) == QWEN3_SUCCESS);

    /* the same tokens in two steps, beside another request */
    Qwen3KVCache* b = cache_of(model);
    CHECK(forward(model, tokens, 70, 0, b, pieces) == QWEN3_SUCCESS);
    CHECK(memcmp(whole, pieces, 70 * DVOC * sizeof(float)) == 0);
    Qwen3KVCache* c = cache_of(model);
    uint32_t mixed[26 + 3];
    memcpy(mixed, tokens + 70, 26 * sizeof(uint32_t));
    memcpy(mixed + 26, tokens, 3 * sizeof(uint32_t));
    const size_t lens[] = {26, 3}, positions[] = {70, 0};
    Qwen3KVCache* const both[] = {b, c};
    CHECK(forwardQwen3Batch(model, mixed, 29, lens, 2, positions, both, batch) == QWEN3_SUCCESS);
    CHECK(memcmp(whole + 70 * DVOC, batch, 26 * DVOC * sizeof(float)) == 0);
    CHECK(memcmp(whole, batch + 26 * DVOC, 3 * DVOC * sizeof(float)) == 0);

    /* a duplicate goes its own way, and what it was made from does not notice */
    Qwen3KVCache* copy = NULL;
    CHECK(duplicateQwen3KVCache(model, a, 40, &copy) == QWEN3_SUCCESS);
    const uint32_t other = (tokens[40] + 1) % DVOC;
    CHECK(forward(model, &other, 1, 40, copy, pieces) == QWEN3_SUCCESS);
    CHECK(memcmp(whole + 40 * DVOC, pieces, DVOC * sizeof(float)) != 0);
    CHECK(forward(model, tokens + 95, 1, 95, a, pieces) == QWEN3_SUCCESS);
    CHECK(memcmp(whole + 95 * DVOC, pieces, DVOC * sizeof(float)) == 0);

    /* greedy is the argmax; drawn with a seed is reproducible, and some other seed draws another token */
    const size_t step_lens[] = {1, 1}, step_positions[] = {95, 69};
    const uint32_t step_tokens[] = {tokens[95], tokens[69]};
    Qwen3KVCache* const step_caches[] = {a, b};
    float temperature[] = {0.0f, 0.0f};
    const uint32_t topk[] = {0, 0};
    const float topp[] = {1.0f, 1.0f};
    uint64_t seed[] = {7, 7};
    uint32_t output[] = {DVOC, DVOC}, again[] = {DVOC, DVOC};
    CHECK(inferQwen3Batch(model, step_tokens, 2, step_lens, 2, step_positions, step_caches, temperature, topk, topp,
                          seed, output) == QWEN3_SUCCESS);
    CHECK(output[0] == argmax(whole + 95 * DVOC));
    CHECK(output[1] == argmax(whole + 69 * DVOC));
    temperature[0] = temperature[1] = 2.0f;
    CHECK(inferQwen3Batch(model, step_tokens, 2, step_lens, 2, step_positions, step_caches, temperature, topk, topp,
                          seed, output) == QWEN3_SUCCESS);
    int differs = 0;
    for (uint64_t other_seed = 7; other_seed < 27; ++other_seed) {
        seed[0] = seed[1] = other_seed;
        CHECK(inferQwen3Batch(model, step_tokens, 2, step_lens, 2, step_positions, step_caches, temperature, topk, topp,
                              seed, again) == QWEN3_SUCCESS);
        CHECK(again[0] < DVOC && again[1] < DVOC);
        if (other_seed == 7) CHECK(again[0] == output[0] && again[1] == output[1]);
        differs |= again[0] != output[0];
    }
    CHECK(differs);

    CHECK(dropQwen3KVCache(model, copy) == QWEN3_SUCCESS);
    CHECK(dropQwen3KVCache(model, c) == QWEN3_SUCCESS);
    CHECK(dropQwen3KVCache(model, b) == QWEN3_SUCCESS);
    CHECK(dropQwen3KVCache(model, a) == QWEN3_SUCCESS);
}

static void check_devices_agree(Qwen3Model* one, Qwen3Model* two, const uint32_t* tokens) {
    static float a[MAX_ROWS * DVOC], b[MAX_ROWS * DVOC];
    Qwen3KVCache* cache_one = cache_of(one);
    Qwen3KVCache* cache_two = cache_of(two);
    CHECK(forward(one, tokens, MAX_ROWS, 0, cache_one, a) == QWEN3_SUCCESS);
    CHECK(forward(two, tokens, MAX_ROWS, 0, cache_two, b) == QWEN3_SUCCESS);
    CHECK(largest_difference(b, a, MAX_ROWS * DVOC) < 1e-5f);
    CHECK(dropQwen3KVCache(one, cache_one) == QWEN3_SUCCESS);
    CHECK(dropQwen3KVCache(two, cache_two) == QWEN3_SUCCESS);
}

/* A layer with two experts that are its MLP twice computes what the MLP does, whatever the router says. */
static void check_experts(Qwen3Model* dense, const uint32_t* tokens) {
    static const size_t dense_layers[] = {1};
    static float a[MAX_ROWS * DVOC], b[MAX_ROWS * DVOC];
    Qwen3Tensor routers[NLAYER] = {{0}}, experts[3][2 * NLAYER] = {{{0}}};
    Dummy dummy;
    random_state = 1;
    fill(&dummy);
    routers[0] = matrix(&dummy, 2, D);
    for (int i = 0; i < 2; ++i)
        for (int projection = 0; projection < 3; ++projection)
            experts[projection][i] = dummy.layered[8 + projection][0];
    Qwen3Weights slots = dummy.slots;
    slots.moe_router = routers;
    slots.expert_gate_proj = experts[0];
    slots.expert_up_proj = experts[1];
    slots.expert_down_proj = experts[2];
    Qwen3Meta meta = shape();
    meta.nexpert = 2, meta.nexpert_per_token = 2, meta.dexpert = DI, meta.norm_topk = 1;
    meta.dense_layers = dense_layers, meta.n_dense_layers = 1;

    const int id = 0;
    Qwen3Model* sparse = NULL;
    CHECK(createQwen3Model(&meta, &slots, QWEN3_DEVICE_CPU, 1, &id, &sparse) == QWEN3_SUCCESS);
    Qwen3KVCache *cache_a = cache_of(dense), *cache_b = cache_of(sparse);
    CHECK(forward(dense, tokens, MAX_ROWS, 0, cache_a, a) == QWEN3_SUCCESS);
    CHECK(forward(sparse, tokens, MAX_ROWS, 0, cache_b, b) == QWEN3_SUCCESS);
    CHECK(largest_difference(b, a, MAX_ROWS * DVOC) < 1e-5f);
    CHECK(dropQwen3KVCache(dense, cache_a) == QWEN3_SUCCESS);
    CHECK(dropQwen3KVCache(sparse, cache_b) == QWEN3_SUCCESS);
    CHECK(destroyQwen3Model(sparse) == QWEN3_SUCCESS);

    experts[1][1].data = NULL;
    sparse = NULL;
    CHECK(createQwen3Model(&meta, &slots, QWEN3_DEVICE_CPU, 1, &id, &sparse) == QWEN3_ERROR_CHECKPOINT);
    CHECK(strstr(qwen3LastError(), "expert_up_proj[0][1]") != NULL);
    release(&dummy);
}

static void expect_refusal(const Qwen3Meta* meta, const Qwen3Weights* slots, int ndev, Qwen3Status status,
                           const char* named) {
    static const int ids[] = {0, 1, 2, 3, 4};
    Qwen3Model* model = NULL;
    CHECK(createQwen3Model(meta, slots, QWEN3_DEVICE_CPU, ndev, ids, &model) == status);
    CHECK(model == NULL);
    if (strstr(qwen3LastError(), named) == NULL) {
        ++failures;
        fprintf(stderr, "expected '%s' in the error, got: %s\n", named, qwen3LastError());
    }
}

static void check_refused_models(void) {
    Dummy dummy;
    fill(&dummy);
    Qwen3Meta meta = shape();
    Qwen3Weights slots = dummy.slots;

    slots.attn_q_norm = NULL;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CHECKPOINT, "attn_q_norm");
    slots = dummy.slots;
    dummy.layered[2][1].data = NULL;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CHECKPOINT, "attn_k_norm");
    dummy.layered[2][1] = dummy.layered[1][1];
    dummy.layered[10][1].shape[1] = DI - 1;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CHECKPOINT, "mlp_down_proj");
    dummy.layered[10][1].shape[1] = DI;
    dummy.layered[8][0].dtype = (Qwen3DataType)9;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CHECKPOINT, "mlp_gate_proj");
    dummy.layered[8][0].dtype = QWEN3_F32;
    slots.output_embd.data = NULL;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CHECKPOINT, "output_embd");
    slots = dummy.slots;
    slots.nlayer = NLAYER + 1;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CONFIG, "nlayer");
    slots = dummy.slots;

    meta.nkvh = 3;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CONFIG, "nkvh");
    meta = shape();
    meta.nh = 0;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CONFIG, "nh");
    meta = shape();
    meta.dt_logits = (Qwen3DataType)9;
    expect_refusal(&meta, &slots, 1, QWEN3_ERROR_CONFIG, "dt_logits");
    meta = shape();
    expect_refusal(&meta, &slots, 0, QWEN3_ERROR_CONFIG, "ndev");
    expect_refusal(NULL, &slots, 1, QWEN3_ERROR_CONFIG, "meta");
    expect_refusal(&meta, NULL, 1, QWEN3_ERROR_CONFIG, "weights");

    const int id = 0;
    Qwen3Model* model = NULL;
    CHECK(createQwen3Model(&meta, &slots, QWEN3_DEVICE_CUDA, 1, &id, &model) == QWEN3_ERROR_DEVICE);
    CHECK(strstr(qwen3LastError(), "cuda:0") != NULL);
    release(&dummy);
}

static void check_refused_calls(Qwen3Model* model, const uint32_t* tokens) {
    static float logits[MAX_ROWS * DVOC];
    Qwen3KVCache* cache = cache_of(model);
    CHECK(forward(model, tokens, 5, 0, cache, logits) == QWEN3_SUCCESS);
    CHECK(strcmp(qwen3LastError(), "") == 0);

    CHECK(forward(model, tokens, 1, 6, cache, logits) == QWEN3_ERROR_CONFIG); /* a hole */
    CHECK(strstr(qwen3LastError(), "req_pos[0]") != NULL);
    const uint32_t outside = DVOC;
    CHECK(forward(model, &outside, 1, 5, cache, logits) == QWEN3_ERROR_CONFIG);
    CHECK(strstr(qwen3LastError(), "67") != NULL);
    const size_t lens[] = {1, 1}, positions[] = {5, 5};
    Qwen3KVCache* const twice[] = {cache, cache};
    CHECK(forwardQwen3Batch(model, tokens, 2, lens, 2, positions, twice, logits) == QWEN3_ERROR_CONFIG);
    CHECK(forwardQwen3Batch(model, tokens, 3, lens, 2, positions, twice, logits) == QWEN3_ERROR_CONFIG);
    CHECK(strstr(qwen3LastError(), "ntok = 3") != NULL);
    CHECK(forward(model, tokens, 5, 0, NULL, logits) == QWEN3_ERROR_CONFIG);
    CHECK(strstr(qwen3LastError(), "kv_caches[0]") != NULL);
    CHECK(forward(model, tokens, 5, 0, cache, NULL) == QWEN3_ERROR_CONFIG);
    Qwen3KVCache* copy = cache;
    CHECK(duplicateQwen3KVCache(model, cache, 6, &copy) == QWEN3_ERROR_CONFIG);
    CHECK(copy == NULL);
    static uint32_t too_many[DCTX + 1];
    static float unused[(DCTX + 1) * DVOC];
    CHECK(forward(model, too_many, DCTX + 1, 0, cache, unused) == QWEN3_ERROR_CONTEXT_OVERFLOW);

    float first[DVOC], after[DVOC]; /* and the model still works */
    Qwen3KVCache* fresh = cache_of(model);
    CHECK(forward(model, tokens, 1, 0, fresh, first) == QWEN3_SUCCESS);
    CHECK(forward(model, tokens, 1, 0, cache, after) == QWEN3_SUCCESS);
    CHECK(memcmp(first, after, sizeof first) == 0);
    CHECK(dropQwen3KVCache(model, fresh) == QWEN3_SUCCESS);
    CHECK(dropQwen3KVCache(model, cache) == QWEN3_SUCCESS);
}

int main(void) {
    uint32_t tokens[MAX_ROWS];
    for (int i = 0; i < MAX_ROWS; ++i) tokens[i] = (uint32_t)(i * 29 + 3) % DVOC;

    check_refused_models();
    Qwen3Model* one = create(1);
    Qwen3Model* two = create(2);
    if (one != NULL && two != NULL) {
        check_experts(one, tokens);
        check_batches(one, tokens);
        check_batches(two, tokens);
        check_devices_agree(one, two, tokens);
        check_refused_calls(two, tokens);
    }
    CHECK(destroyQwen3Model(one) == QWEN3_SUCCESS);
    CHECK(destroyQwen3Model(two) == QWEN3_SUCCESS);
    if (failures == 0) printf("c_api: every check held\n");
    return failures == 0 ? 0 : 1;
}
