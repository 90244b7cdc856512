// The verbs that multiply a weight with a few vectors, against plain loops in double.
#include "ragged_batch.hpp"

using namespace qwen3::cuda;
using namespace qwen3::cuda::test;

namespace {

constexpr float kEpsilon = 1e-6F;
constexpr double kTolerance = 3e-6;  // of the largest value; f32 sums of a few thousand products

struct Matrix {
    Matrix(Noise& noise, int64_t rows_, int64_t columns_)
        : rows(rows_), columns(columns_), host(noise.bf16(static_cast<size_t>(rows * columns))), device(host) {}

    Weight weight() const { return {device.data(), rows, columns}; }
    double times(int64_t row, const double* x) const {
        double sum = 0.0;
        for (int64_t i = 0; i < columns; ++i) sum += widen(host[static_cast<size_t>(row * columns + i)]) * x[i];
        return sum;
    }

    int64_t rows, columns;
    std::vector<Bf16> host;
    DeviceArray<Bf16> device;
};

// Rows of f32, NaN beyond the batch; `normed` are those rows after RMSNorm.
struct Hidden {
    Hidden(Noise& noise, int64_t rows, int64_t room, int64_t columns)
        : host(noise.floats(static_cast<size_t>(rows * columns))),
          norm_host(noise.floats(static_cast<size_t>(columns))),
          device([&] {
              auto padded = host;
              padded.resize(static_cast<size_t>(room * columns), kNaN);
              return padded;
          }()),
          norm_device(norm_host),
          normed(host.size()) {
        for (int64_t r = 0; r < rows; ++r) {
            const float* x = host.data() + r * columns;
            double squares = 0.0;
            for (int64_t i = 0; i < columns; ++i) squares += static_cast<double>(x[i]) * x[i];
            const double scale = 1.0 / std::sqrt(squares / static_cast<double>(columns) + kEpsilon);
            for (int64_t i = 0; i < columns; ++i)
                normed[static_cast<size_t>(r * columns + i)] = x[i] * scale * norm_host[static_cast<size_t>(i)];
        }
    }

    Norm norm() const { return {norm_device.data(), kEpsilon}; }

    std::vector<float> host, norm_host;
    DeviceArray<float> device, norm_device;
    std::vector<double> normed;
};

DeviceArray<float> output(int64_t rows, int64_t columns) { return {static_cast<size_t>(rows * columns), kUntouched}; }

// [rows, matrix.rows] of the input, and untouched rows after those.
std::vector<double> product(const Matrix& matrix, const std::vector<double>& x, int64_t rows, int64_t room) {
    std::vector<double> want(static_cast<size_t>(room * matrix.rows), kUntouched);
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t o = 0; o < matrix.rows; ++o)
            want[static_cast<size_t>(r * matrix.rows + o)] = matrix.times(o, x.data() + r * matrix.columns);
    return want;
}

struct Size {
    int32_t rows, spare;  // vectors, and how many more the bucket has
    int64_t columns;
};

// Every number of vectors that kernels are compiled for; columns in part of a chunk of eight, in part of a warp's turn,
// over several stages of shared memory.
std::vector<Size> sizes() {
    if (kSmall) return {{1, 0, 24}, {3, 1, 520}};
    std::vector<Size> all = {{1, 0, 1},   {1, 0, 8},   {1, 0, 520},  {2, 0, 7},    {2, 6, 64},  {3, 0, 36},
                             {3, 1, 100}, {4, 0, 264}, {5, 0, 1096}, {8, 0, 2056}, {7, 1, 2049}};
    if (full()) all.insert(all.end(), {{1, 0, 8200}, {1, 0, 16392}, {2, 0, 9000}, {6, 2, 5120}, {8, 0, 3333}});
    return all;
}

std::string name(const char* verb, const Size& s) {
    return std::string(verb) + " of " + std::to_string(s.rows) + "+" + std::to_string(s.spare) + " x " +
           std::to_string(s.columns);
}

}  // namespace

TEST("norm_qkv", {
    for (const Size& s : sizes()) {
        Noise noise(7);
        const int64_t room = s.rows + s.spare;
        const Hidden hidden(noise, s.rows, room, s.columns);
        const Matrix wq(noise, 13, s.columns), wk(noise, 4, s.columns), wv(noise, 1, s.columns);
        const auto q = output(room, 13), k = output(room, 4), v = output(room, 1);
        const RaggedBatch batch = plain_rows(s.rows, s.spare);
        check_launched(norm_qkv(batch.step(), hidden.device.data(), hidden.norm(), wq.weight(), wk.weight(),
                                wv.weight(), q.data(), k.data(), v.data()),
                       "norm_qkv");
        check_close(q.read(), product(wq, hidden.normed, s.rows, room), kTolerance, name("q", s));
        check_close(k.read(), product(wk, hidden.normed, s.rows, room), kTolerance, name("k", s));
        check_close(v.read(), product(wv, hidden.normed, s.rows, room), kTolerance, name("v", s));
    }
});

TEST("project_residual, with the residual and without", {
    for (const Size& s : sizes())
        for (const bool residual : {true, false}) {
            Noise noise(8);
            const int64_t room = s.rows + s.spare;
            const Hidden x(noise, s.rows, room, s.columns);
            const Matrix weight(noise, 11, s.columns);
            const std::vector<double> exact(x.host.begin(), x.host.end());
            std::vector<double> want = product(weight, exact, s.rows, room);
            auto before = std::vector<float>(want.size(), kUntouched);
            const std::vector<float> added = noise.floats(static_cast<size_t>(s.rows) * 11);
            for (size_t i = 0; i < added.size(); ++i) {
                before[i] = residual ? added[i] : kNaN;
                if (residual) want[i] += added[i];
            }
            const DeviceArray<float> hidden(before);
            const RaggedBatch batch = plain_rows(s.rows, s.spare);
            check_launched(project_residual(batch.step(), x.device.data(), weight.weight(), residual, hidden.data()),
                           "project_residual");
            check_close(hidden.read(), want, kTolerance, name("project_residual", s));
        }
});

TEST("project_residual of a shard without neurons leaves the residual, or zeros", {
    const RaggedBatch batch = plain_rows(3);
    const std::vector<float> before = Noise(1).floats(3 * 5);
    for (const bool residual : {true, false}) {
        const DeviceArray<float> hidden(before);
        check_launched(project_residual(batch.step(), nullptr, {nullptr, 5, 0}, residual, hidden.data()), "nothing");
        CHECK(hidden.read() == (residual ? before : std::vector<float>(15, 0.0F)));
    }
});

TEST("norm_gate_up_silu", {
    for (const Size& s : sizes()) {
        Noise noise(9);
        const int64_t room = s.rows + s.spare;
        const Hidden hidden(noise, s.rows, room, s.columns);
        const Matrix gate(noise, 6, s.columns), up(noise, 6, s.columns);
        const auto act = output(room, 6);
        const RaggedBatch batch = plain_rows(s.rows, s.spare);
        check_launched(norm_gate_up_silu(batch.step(), hidden.device.data(), hidden.norm(), gate.weight(), up.weight(),
                                         act.data()),
                       "norm_gate_up_silu");
        std::vector<double> want = product(gate, hidden.normed, s.rows, room);
        const std::vector<double> ups = product(up, hidden.normed, s.rows, room);
        for (size_t i = 0; i < want.size(); ++i)
            if (want[i] != kUntouched) want[i] = want[i] / (1.0 + std::exp(-want[i])) * ups[i];
        check_close(act.read(), want, 3 * kTolerance, name("act", s));
    }
});

TEST("norm_head of wanted rows, into the columns of a shard", {
    for (const Size& s : sizes()) {
        Noise noise(10);
        const int64_t stride = 29, vocab = 17;
        const Hidden hidden(noise, 9, 9, s.columns);
        const Matrix head(noise, vocab, s.columns);
        std::vector<int32_t> wanted;
        for (int32_t i = 0; i < s.rows; ++i) wanted.push_back((i * 5 + 3) % 9);
        const RaggedBatch batch = plain_rows(9, 0, wanted, s.spare);
        const auto logits = output(s.rows + s.spare, stride);
        check_launched(
            norm_head(batch.step(), hidden.device.data(), hidden.norm(), head.weight(), logits.data(), stride),
            "norm_head");
        std::vector<double> want(static_cast<size_t>((s.rows + s.spare) * stride), kUntouched);
        for (int64_t i = 0; i < s.rows; ++i)
            for (int64_t o = 0; o < vocab; ++o)
                want[static_cast<size_t>(i * stride + o)] =
                    head.times(o, hidden.normed.data() + wanted[static_cast<size_t>(i)] * s.columns);
        check_close(logits.read(), want, kTolerance, name("logits", s));
    }
});

TEST("shards without neurons and without vocabulary launch nothing", {
    const RaggedBatch batch = plain_rows(2, 0, {0, 1});
    CHECK(norm_gate_up_silu(batch.step(), nullptr, {nullptr, kEpsilon}, {nullptr, 0, 8}, {nullptr, 0, 8}, nullptr) ==
          nullptr);
    CHECK(norm_head(batch.step(), nullptr, {nullptr, kEpsilon}, {nullptr, 0, 8}, nullptr, 100) == nullptr);
});

TEST("more than eight rows are refused", {
    const RaggedBatch batch = plain_rows(9);
    const DeviceArray<float> hidden(9 * 8, 0.0F);
    const DeviceArray<Bf16> weight(8 * 8, Bf16{0});
    const char* status = project_residual(batch.step(), hidden.data(), {weight.data(), 8, 8}, false, hidden.data());
    CHECK(status != nullptr && std::string(status).find("8 rows") != std::string::npos);
});
