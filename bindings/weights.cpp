#include "qwen3/weights.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <numeric>

#include "bindings.hpp"
#include "qwen3/error.hpp"

namespace qwen3::python {
namespace {

std::string place(const std::string& slot, int64_t layer) {
    return layer < 0 ? slot : slot + "[" + std::to_string(layer) + "]";
}

std::optional<DType> element_type(const nb::ndarray<nb::ro>& array) {
    if (array.dtype() == nb::dtype<float>()) return DType::f32;
    const auto code = static_cast<nb::dlpack::dtype_code>(array.dtype().code);
    if (array.itemsize() != 2 || array.dtype().lanes != 1) return std::nullopt;
    if (code == nb::dlpack::dtype_code::Float) return DType::f16;
    if (code == nb::dlpack::dtype_code::Bfloat) return DType::bf16;
    return std::nullopt;
}

bool is_contiguous(const nb::ndarray<nb::ro>& array) {
    int64_t expected = 1;
    for (size_t axis = array.ndim(); axis-- > 0;) {
        if (array.shape(axis) != 1 && array.stride(axis) != expected) return false;
        expected *= static_cast<int64_t>(array.shape(axis));
    }
    return true;
}

std::vector<int64_t> shape_of(const nb::ndarray<nb::ro>& array) {
    std::vector<int64_t> shape(array.ndim());
    for (size_t axis = 0; axis < shape.size(); ++axis) shape[axis] = static_cast<int64_t>(array.shape(axis));
    return shape;
}

}  // namespace

void HeldWeights::set(const std::string& slot, int64_t layer, const nb::ndarray<nb::ro>& array,
                      const std::optional<std::string>& dtype, std::optional<std::vector<int64_t>> shape, bool mapped) {
    const std::optional<Slot> known = parse_slot(slot);
    if (!known) throw CheckpointError("slot " + slot + " is not one of a Qwen3 model's");
    if (per_layer(*known) ? layer < 0 || layer >= nlayer_ : layer >= 0)
        throw CheckpointError(place(slot, layer) + ": the model has " + std::to_string(nlayer_) + " layers");
    const std::optional<DType> type = dtype ? parse_dtype(*dtype) : element_type(array);
    if (!type)
        throw CheckpointError(place(slot, layer) + ": element type " + dtype.value_or("of the array") +
                              " is not supported: expected float32, float16 or bfloat16");
    if (array.device_type() != nb::device::cpu::value)
        throw CheckpointError(place(slot, layer) + ": the array is not in host memory: copy it to the CPU first");
    if (!is_contiguous(array))
        throw CheckpointError(place(slot, layer) + ": the array is not contiguous: pass a row-major copy");

    TensorView tensor{.data = static_cast<const std::byte*>(array.data()),
                      .dtype = *type,
                      .shape = shape ? std::move(*shape) : shape_of(array),
                      .mapped = mapped};
    if (array.nbytes() != tensor.nbytes())
        throw CheckpointError(place(slot, layer) + ": " + std::to_string(array.nbytes()) + " bytes do not hold a " +
                              std::string(dtype_name(*type)) + " tensor of its shape, which takes " +
                              std::to_string(tensor.nbytes()));
    weights_.at(*known, per_layer(*known) ? layer : 0) = std::move(tensor);
    arrays_.push_back(array);
}

std::optional<WeightType> parse_weight_option(const std::optional<std::string>& name) {
    if (!name) return std::nullopt;
    const std::optional<WeightType> type = parse_weight_type(*name);
    if (!type) throw ConfigError("weights = '" + *name + "': expected auto, f32, f16, bf16, int8 or int4");
    return type;
}

std::optional<DType> parse_kv_option(const std::optional<std::string>& name) {
    if (!name) return std::nullopt;
    const std::optional<DType> dtype = parse_dtype(*name);
    if (!dtype || dtype == DType::f16) throw ConfigError("kv = '" + *name + "': expected auto, f32 or bf16");
    return dtype;
}

void bind_weights(nb::module_& module) {
    nb::class_<HeldWeights>(module, "Weights")
        .def(nb::init<int64_t>(), nb::arg("nlayer"))
        .def("set", &HeldWeights::set, nb::arg("slot"), nb::arg("layer"), nb::arg("array").noconvert(),
             nb::arg("dtype").none(), nb::arg("shape").none(), nb::arg("mapped"));
}

}  // namespace qwen3::python
