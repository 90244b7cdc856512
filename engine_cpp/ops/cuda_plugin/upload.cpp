// Weights on their way to a GPU: host threads round rows of the mapped file into page-locked memory, while what they
// filled before is being copied.
#include <algorithm>
#include <array>

#include "decode/reader.hpp"
#include "ops/cpu/convert.hpp"
#include "ops/cuda_plugin/cuda_ops.hpp"
#include "ops/cuda_plugin/device_memory.hpp"

namespace qwen3::cuda_plugin {
namespace {

using cpu::Bf16;
using cpu::F16;

// `count` elements from index `first` of the source.
template <class To, class From>
void convert_run(const TensorView& weight, int64_t first, int64_t count, To* out) {
    if constexpr (std::is_same_v<To, From>) {
        std::memcpy(out, weight.data + first * static_cast<int64_t>(sizeof(From)),
                    static_cast<size_t>(count) * sizeof(From));
    } else {
        for (int64_t i = 0; i < count; ++i) out[i] = cpu::convert<To>(cpu::read<From>(weight.data, first + i));
    }
}

// `count` weights of one row of a quantized matrix.
template <class To>
void decode_run(const MatrixReader& reader, int64_t row, int64_t column, int64_t count, To* out) {
    std::array<float, static_cast<size_t>(MatrixReader::kColumns)> piece;
    for (int64_t done = 0; done < count; done += MatrixReader::kColumns) {
        const int64_t begin = column + done, end = std::min(column + count, begin + MatrixReader::kColumns);
        reader.read({row, row + 1}, {begin, end}, piece.data());
        std::transform(piece.data(), piece.data() + (end - begin), out + done,
                       [](float x) { return cpu::convert<To>(x); });
    }
}

template <class To>
void convert_run(const TensorView& weight, int64_t first, int64_t count, To* out) {
    switch (weight.dtype) {
        case DType::f32: return convert_run<To, float>(weight, first, count, out);
        case DType::f16: return convert_run<To, F16>(weight, first, count, out);
        case DType::bf16: return convert_run<To, Bf16>(weight, first, count, out);
    }
}

}  // namespace

// The slice is one run of elements on the device, cut into pieces of the staging memory's size wherever that falls.
template <class To>
void CudaOps::upload(const TensorView& weight, const Slice& slice, Qwen3CudaMemory to) {
    const int64_t width = slice.columns.size();
    const int64_t stride = weight.shape.back();  // elements of a row of the source
    const int64_t total = slice.rows.size() * width;
    std::unique_ptr<MatrixReader> reader;
    if (weight.encoded) reader = open_reader(*weight.encoded, weight.shape[0], weight.shape[1]);
    auto convert_range = [&](int64_t begin, int64_t end, To* out) {  // of the slice's elements
        for (int64_t at = begin; at < end;) {
            const int64_t row = at / width;
            const int64_t column = at % width;
            const int64_t count = std::min(end - at, width - column);
            if (reader)
                decode_run(*reader, slice.rows.begin + row, slice.columns.begin + column, count, out);
            else
                convert_run(weight, (slice.rows.begin + row) * stride + slice.columns.begin + column, count, out);
            at += count;
            out += count;
        }
    };
    for (int64_t done = 0; done < total;) {
        void* staging = nullptr;
        size_t bytes = 0;
        plugin_.check(plugin_->staging(device_.get(), &staging, &bytes));
        const int64_t count = std::min(total - done, static_cast<int64_t>(bytes / sizeof(To)));
        pool_.run([&](int thread) {
            const Range part = split(count, 1024, thread, pool_.threads());
            if (part.size() > 0)
                convert_range(done + part.begin, done + part.end, static_cast<To*>(staging) + part.begin);
        });
        plugin_.check(
            plugin_->upload(device_.get(), static_cast<To*>(to) + done, static_cast<size_t>(count) * sizeof(To)));
        done += count;
    }
}

std::unique_ptr<Matrix> CudaOps::pack(const TensorView& weight, const Slice& slice, WeightType) {
    const auto elements = static_cast<size_t>(slice.rows.size() * slice.columns.size());
    auto matrix = std::make_unique<CudaMatrix>(plugin_, device_.get(), elements * sizeof(Bf16), "the weights");
    upload<Bf16>(weight, slice, matrix->data());
    return matrix;
}

std::unique_ptr<Vector> CudaOps::pack_vector(const TensorView& weight) {
    const int64_t size = weight.shape.back();
    auto vector =
        std::make_unique<CudaVector>(plugin_, device_.get(), static_cast<size_t>(size) * sizeof(float), "the weights");
    upload<float>(weight, {{0, 1}, {0, size}}, vector->data());
    return vector;
}

}  // namespace qwen3::cuda_plugin
