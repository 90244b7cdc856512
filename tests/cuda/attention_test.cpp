// Attention over pages, against plain loops in double.
#include "page_pool.hpp"

using namespace qwen3::cuda;
using namespace qwen3::cuda::test;

namespace {

constexpr int64_t kLayers = 2, kLayer = 1;
constexpr double kExact = 4e-6;    // f32 throughout
constexpr double kRounded = 8e-3;  // queries and weights in bf16 for the tensor cores

// out of one row and head: softmax(q k / sqrt(dh)) v over the first `context` positions.
std::vector<double> attend(const float* q, const PagePool& pool, const RaggedBatch& batch, size_t sequence,
                           int64_t kv_head, int32_t context, int32_t dh) {
    std::vector<double> scores;
    double largest = -1e300;
    for (int32_t p = 0; p < context; ++p) {
        double score = 0.0;
        for (int32_t i = 0; i < dh; ++i)
            score +=
                static_cast<double>(q[i]) * pool.at(pool.offset(batch.page(sequence, p), kLayer, kv_head, false, p, i));
        scores.push_back(score / std::sqrt(static_cast<double>(dh)));
        largest = std::max(largest, scores.back());
    }
    std::vector<double> out(static_cast<size_t>(dh), 0.0);
    double sum = 0.0;
    for (int32_t p = 0; p < context; ++p) {
        const double weight = std::exp(scores[static_cast<size_t>(p)] - largest);
        sum += weight;
        for (int32_t i = 0; i < dh; ++i)
            out[static_cast<size_t>(i)] +=
                weight * pool.at(pool.offset(batch.page(sequence, p), kLayer, kv_head, true, p, i));
    }
    for (double& x : out) x /= sum;
    return out;
}

struct Problem {
    std::vector<Request> requests;
    Heads heads;
    KvType type = KvType::bf16;
    float q_scale = 1.0F;
};

// Runs the problem; every value beyond a context is NaN, and so is the workspace.
void check_attention(const Problem& problem) {
    const Heads& heads = problem.heads;
    const int32_t dh = heads.head_dim;
    std::string what = "attention of " + std::to_string(heads.query_heads) + "/" + std::to_string(heads.kv_heads) +
                       " heads of " + std::to_string(dh) + ", (position, rows)";
    for (const Request& r : problem.requests)
        what += " (" + std::to_string(r.first_position) + ", " + std::to_string(r.rows) + ")";

    const RaggedBatch batch(problem.requests, {.spare_rows = 3, .spare_sequences = 2, .head_dim = dh});
    PagePool pool(batch.pool_pages(), kLayers, heads, problem.type);
    pool.fill(batch, heads, kLayer, 21);
    const auto width = static_cast<size_t>(heads.query_heads * dh);
    const auto rows = static_cast<size_t>(batch.rows()), room = static_cast<size_t>(batch.bucket().rows);
    std::vector<float> q = Noise(22).floats(rows * width, problem.q_scale);
    q.resize(room * width, kNaN);
    const DeviceArray<float> device_q(q), out(room * width, kUntouched);
    const DeviceArray<std::byte> workspace(attention_workspace_bytes(batch.bucket(), heads, problem.type),
                                           std::byte{0xff});
    check_launched(attention(batch.step(), pool.layout(), heads, kLayer, device_q.data(), workspace.data(), out.data()),
                   what);

    const std::vector<float> have = out.read();
    size_t row = 0;
    for (size_t s = 0; s < problem.requests.size(); ++s) {
        const Request& request = problem.requests[s];
        const bool on_tensor_cores = request.rows > 1 && problem.type == KvType::bf16 && dh % 8 == 0;
        for (int32_t i = 0; i < request.rows; ++i, ++row) {
            std::vector<double> want;
            for (int32_t h = 0; h < heads.query_heads; ++h) {
                const auto one = attend(q.data() + row * width + static_cast<size_t>(h * dh), pool, batch, s,
                                        (h + heads.first_in_group) / heads.group, request.first_position + i + 1, dh);
                want.insert(want.end(), one.begin(), one.end());
            }
            const auto begin = have.begin() + static_cast<std::ptrdiff_t>(row * width);
            check_close({begin, begin + static_cast<std::ptrdiff_t>(width)}, want, on_tensor_cores ? kRounded : kExact,
                        what + ", row " + std::to_string(row));
        }
    }
    for (size_t i = rows * width; i < have.size(); ++i) CHECK(have[i] == kUntouched);
}

}  // namespace

TEST("decode: contexts around pages and splits", {
    if (kSmall) return check_attention({{{0, 1}, {130, 1}}, whole_heads(1, 2, 16)});
    check_attention({{{0, 1}, {1, 1}, {62, 1}, {63, 1}, {64, 1}, {127, 1}, {128, 1}, {300, 1}}, whole_heads(2, 2, 16)});
    check_attention({{{4095, 1}}, whole_heads(1, 2, 8)});  // all splits
    check_attention({{{4200, 1}, {5, 1}}, whole_heads(1, 1, 8)});
    if (full()) check_attention({{{20000, 1}, {40959, 1}}, whole_heads(1, 2, 8)});
});

TEST("decode: every group size and head_dim", {
    if (kSmall) return check_attention({{{70, 1}}, whole_heads(1, 3, 20)});
    for (const int32_t group : {1, 2, 3, 4, 5, 8, 9, 16})
        check_attention({{{150, 1}, {9, 1}}, whole_heads(1, group, 16)});
    for (const int32_t dh : {2, 6, 8, 40, 64, 66, 100, 128, 136, 256})
        check_attention({{{140, 1}, {3, 1}}, whole_heads(2, 2, dh)});
    check_attention({{{140, 1}}, whole_heads(1, 8, 256)});
});

TEST("decode from f32 pages", {
    const int32_t dh = kSmall ? 16 : 128;
    check_attention({{{kSmall ? 64 : 200, 1}, {0, 1}}, whole_heads(1, 2, dh), KvType::f32});
});

TEST("a decode batch with so many rows that contexts are split less", {
    if (kSmall) return;
    for (const int32_t count : full() ? std::vector<int32_t>{17, 70, 260} : std::vector<int32_t>{17, 70}) {
        std::vector<Request> requests;
        for (int32_t i = 0; i < count; ++i) requests.push_back({i * 7 % 280, 1});
        check_attention({requests, whole_heads(1, 2, 8)});
    }
});

TEST("prefill: tiles that end anywhere", {
    if (kSmall) return check_attention({{{60, 20}}, whole_heads(1, 4, 16)});
    check_attention({{{0, 2}}, whole_heads(1, 1, 16)});
    check_attention({{{0, 64}}, whole_heads(1, 1, 16)});
    check_attention({{{0, 65}}, whole_heads(1, 1, 16)});
    check_attention({{{63, 66}}, whole_heads(2, 2, 16)});
    check_attention({{{200, 3}, {0, 40}, {64, 2}}, whole_heads(1, 4, 8)});
    if (full()) check_attention({{{0, 500}, {700, 300}}, whole_heads(2, 4, 32)});
});

TEST("prefill: every group size and head_dim", {
    if (kSmall) return check_attention({{{3, 5}}, whole_heads(1, 1, 40)});
    for (const int32_t group : {1, 3, 5, 7, 8, 16, 33, 64}) check_attention({{{30, 35}}, whole_heads(1, group, 8)});
    for (const int32_t dh : {8, 24, 32, 40, 64, 72, 128, 136, 256}) check_attention({{{60, 9}}, whole_heads(1, 2, dh)});
});

TEST("prefill without tensor cores: odd head_dim, f32 pages, a group beyond a tile", {
    if (kSmall) return check_attention({{{3, 3}}, whole_heads(1, 1, 6)});
    check_attention({{{60, 7}, {3, 1}, {0, 2}}, whole_heads(2, 2, 20)});
    check_attention({{{60, 7}, {3, 1}}, whole_heads(1, 2, 64), KvType::f32});
    check_attention({{{0, 2}}, whole_heads(1, 65, 8)});
});

TEST("prefill and decode mixed in one batch", {
    if (kSmall) return check_attention({{{10, 1}, {0, 5}}, whole_heads(1, 2, 16)});
    check_attention({{{10, 1}, {0, 33}, {200, 1}, {64, 2}, {127, 1}}, whole_heads(2, 2, 32)});
    check_attention({{{0, 33}, {200, 1}}, whole_heads(1, 4, 128)});
});

TEST("shards that begin and end inside a group", {
    if (kSmall) return check_attention({{{10, 1}, {0, 5}}, heads_of(3, 2, 16, 4, 3)});
    check_attention({{{70, 1}, {60, 20}}, heads_of(3, 2, 16, 4, 3)});   // 1 head of the first group, 2 of the next
    check_attention({{{70, 1}, {60, 20}}, heads_of(2, 1, 16, 8, 5)});   // 2 heads inside one group
    check_attention({{{70, 1}, {60, 20}}, heads_of(12, 3, 8, 5, 2)});   // 3, 5, 4
    check_attention({{{70, 1}, {60, 20}}, heads_of(14, 2, 8, 12, 3)});  // 9 of a group, more than one chunk, then 5
});

TEST("scores far apart: no overflow, no NaN", {
    if (kSmall) return;
    check_attention({{{150, 1}}, whole_heads(1, 2, 64), KvType::bf16, 60.0F});
    check_attention({{{60, 9}}, whole_heads(1, 1, 64), KvType::bf16, 6.0F});
});
