// What writes KV pages: the append with its norms and RoPE, and copy-on-write.
#include "page_pool.hpp"

using namespace qwen3::cuda;
using namespace qwen3::cuda::test;

namespace {

constexpr float kEpsilon = 1e-6F;

// RMSNorm and RoPE of one head, the halves rotated.
std::vector<double> norm_rope(const float* x, const std::vector<float>& weight, const RaggedBatch& batch, int64_t row) {
    const auto dh = static_cast<int64_t>(weight.size());
    const int64_t half = dh / 2;
    double squares = 0.0;
    for (int64_t i = 0; i < dh; ++i) squares += static_cast<double>(x[i]) * x[i];
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(dh) + kEpsilon);
    std::vector<double> y(weight.size());
    for (int64_t i = 0; i < half; ++i) {
        const auto low = static_cast<size_t>(i), high = static_cast<size_t>(i + half);
        const double a = x[low] * scale * weight[low], b = x[high] * scale * weight[high];
        y[low] = a * batch.cos(row, i, half) - b * batch.sin(row, i, half);
        y[high] = b * batch.cos(row, i, half) + a * batch.sin(row, i, half);
    }
    return y;
}

void check_append(const std::vector<Request>& requests, const Heads& heads, KvType type) {
    constexpr int64_t kLayers = 3, kLayer = 1;
    const int32_t dh = heads.head_dim;
    const std::string what = "append of head_dim " + std::to_string(dh);
    Noise noise(11);
    const RaggedBatch batch(requests, {.spare_rows = 2, .spare_sequences = 1, .head_dim = dh});
    const auto room = static_cast<size_t>(batch.bucket().rows), rows = static_cast<size_t>(batch.rows());
    const auto q_width = static_cast<size_t>(heads.query_heads * dh),
               kv_width = static_cast<size_t>(heads.kv_heads * dh);
    std::vector<float> q = noise.floats(rows * q_width), k = noise.floats(rows * kv_width),
                       v = noise.floats(rows * kv_width);
    for (auto* padded : {&q, &k, &v}) padded->resize(padded->size() / rows * room, kUntouched);
    const auto q_norm = noise.floats(static_cast<size_t>(dh)), k_norm = noise.floats(static_cast<size_t>(dh));
    const DeviceArray<float> device_q(q), device_k(k), device_v(v), device_qn(q_norm), device_kn(k_norm);
    PagePool pool(batch.pool_pages(), kLayers, heads, type);
    const std::vector<std::byte> before = pool.bytes();
    check_launched(qk_norm_rope_append(batch.step(), pool.layout(), heads, kLayer, {device_qn.data(), kEpsilon},
                                       {device_kn.data(), kEpsilon}, device_q.data(), device_k.data(), device_v.data()),
                   what);

    std::vector<double> want_q(q.size(), kUntouched);
    for (size_t r = 0; r < rows; ++r)
        for (size_t h = 0; h < q_width / static_cast<size_t>(dh); ++h) {
            const size_t at = r * q_width + h * static_cast<size_t>(dh);
            const auto y = norm_rope(q.data() + at, q_norm, batch, static_cast<int64_t>(r));
            std::copy(y.begin(), y.end(), want_q.begin() + static_cast<std::ptrdiff_t>(at));
        }
    check_close(device_q.read(), want_q, 2e-6, what + ", q");

    pool.fetch();
    std::vector<float> have;
    std::vector<double> want;
    std::vector<std::byte> rest = pool.bytes();
    size_t row = 0;
    for (size_t s = 0; s < requests.size(); ++s)
        for (int32_t i = 0; i < requests[s].rows; ++i, ++row)
            for (int32_t h = 0; h < heads.kv_heads; ++h) {
                const size_t at = row * kv_width + static_cast<size_t>(h * dh);
                const int32_t position = requests[s].first_position + i;
                const auto keys = norm_rope(k.data() + at, k_norm, batch, static_cast<int64_t>(row));
                for (int32_t dim = 0; dim < dh; ++dim)
                    for (const bool is_v : {false, true}) {
                        const size_t offset = pool.offset(batch.page(s, position), kLayer, h, is_v, position, dim);
                        have.push_back(pool.at(offset));
                        want.push_back(is_v ? v[at + static_cast<size_t>(dim)] : keys[static_cast<size_t>(dim)]);
                        for (int64_t b = 0; b < pool.layout().value_bytes(); ++b)
                            rest[offset + static_cast<size_t>(b)] = std::byte{0xff};
                    }
            }
    check_close(have, want, type == KvType::f32 ? 2e-6 : 1.0 / 256, what + ", pages");
    CHECK(rest == before);  // and nothing else
}

}  // namespace

TEST("qk_norm_rope_append: any head_dim, pages crossed, other rows and pages untouched", {
    const std::vector<Request> ragged = {{63, 3}, {0, 1}, {127, 1}, {5, 2}};
    for (const KvType type : {KvType::bf16, KvType::f32}) {
        check_append(ragged, whole_heads(1, 3, 20), type);
        if (kSmall) continue;
        check_append(ragged, whole_heads(2, 2, 128), type);
        check_append(ragged, whole_heads(3, 1, 256), type);
        check_append(ragged, whole_heads(1, 1, 2), type);
        check_append(ragged, heads_of(5, 2, 64, 4, 3), type);
        check_append({{60, 70}, {64, 1}}, whole_heads(1, 2, 66), type);
    }
});

TEST("a head_dim that no kernel takes is refused", {
    const RaggedBatch batch = plain_rows(1);
    for (const int32_t dh : {7, 258}) {
        const char* status =
            qk_norm_rope_append(batch.step(), {}, whole_heads(1, 1, dh), 0, {}, {}, nullptr, nullptr, nullptr);
        CHECK(status != nullptr && std::string(status).find("head_dim") != std::string::npos);
    }
});

TEST("copy_pages copies whole pages, however many", {
    const Heads heads = whole_heads(1, 1, kSmall ? 2 : 20);
    for (const int32_t copies : {0, 1, 11}) {
        PagePool pool(30, 2, heads, KvType::bf16);
        Noise noise(12);
        for (std::byte& b : pool.bytes()) b = static_cast<std::byte>(noise.floats(1, 100.0F)[0]);
        pool.send();
        std::vector<std::byte> want = pool.bytes();
        std::vector<DevicePageCopy> list;
        const auto size = static_cast<std::ptrdiff_t>(pool.layout().page_bytes());
        for (int32_t c = 0; c < copies; ++c) {
            list.push_back({c, 29 - c});
            std::copy_n(want.begin() + c * size, size, want.begin() + (29 - c) * size);
        }
        const RaggedBatch batch({{0, 1}}, {.copies = list});
        check_launched(copy_pages(batch.step(), pool.layout()), "copy_pages");
        pool.fetch();
        CHECK(pool.bytes() == want);
    }
});
