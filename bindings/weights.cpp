#include "qwen3/weights.hpp"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <numeric>

#include "bindings.hpp"
#include "qwen3/error.hpp"

namespace qwen3::python {
namespace {

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

void require_readable(const nb::ndarray<nb::ro>& array, const std::string& name) {
    if (array.device_type() != nb::device::cpu::value)
        throw CheckpointError(name + ": the array is not in host memory: copy it to the CPU first");
    if (!is_contiguous(array)) throw CheckpointError(name + ": the array is not contiguous: pass a row-major copy");
}

Part* part_of(EncodedMatrix& matrix, const std::string& role) {
    if (role == "values") return &matrix.values;
    if (role == "scales") return &matrix.scales;
    if (role == "zeros") return &matrix.zeros;
    if (role == "group_index") return &matrix.group_index;
    return nullptr;
}

}  // namespace

Place HeldWeights::place(const std::string& slot, int64_t index) const {
    const std::optional<Slot> known = parse_slot(slot);
    if (!known) throw CheckpointError("slot " + slot + " is not one of a Qwen3 model's");
    if (!per_layer(*known)) {
        if (index >= 0) throw CheckpointError(slot + " exists once, not for layer " + std::to_string(index));
        return {*known};
    }
    const int64_t of_a_layer = per_expert(*known) ? experts_ : 1;
    if (index < 0 || index >= nlayer_ * of_a_layer)
        throw CheckpointError(slot + "[" + std::to_string(index) + "]: the model has " + std::to_string(nlayer_) +
                              " layers" + (per_expert(*known) ? " of " + std::to_string(experts_) + " experts" : ""));
    return {*known, index / of_a_layer, index % of_a_layer};
}

void HeldWeights::set(const std::string& slot, int64_t index, const nb::ndarray<nb::ro>& array,
                      const std::optional<std::string>& dtype, std::optional<std::vector<int64_t>> shape, bool mapped) {
    const Place at = place(slot, index);
    const std::string where = place_name(at);
    const std::optional<DType> type = dtype ? parse_dtype(*dtype) : element_type(array);
    if (!type)
        throw CheckpointError(where + ": element type " + dtype.value_or("of the array") +
                              " is not supported: expected float32, float16 or bfloat16");
    require_readable(array, where);

    TensorView tensor{.data = static_cast<const std::byte*>(array.data()),
                      .dtype = *type,
                      .shape = shape ? std::move(*shape) : shape_of(array),
                      .encoded = nullptr,
                      .mapped = mapped};
    if (array.nbytes() != tensor.nbytes())
        throw CheckpointError(where + ": " + std::to_string(array.nbytes()) + " bytes do not hold a " +
                              std::string(dtype_name(*type)) + " tensor of its shape, which takes " +
                              std::to_string(tensor.nbytes()));
    weights_.at(at) = std::move(tensor);
    arrays_.push_back(array);
}

void HeldWeights::set_encoded(const std::string& slot, int64_t index, const std::string& encoding,
                              const std::vector<int64_t>& shape, const Parts& parts, int bits, int64_t block_rows,
                              int64_t block_columns, int zero_offset, bool mapped) {
    const Place at = place(slot, index);
    const std::string where = place_name(at);
    const std::optional<Encoding> known = parse_encoding(encoding);
    if (!known) throw CheckpointError(where + ": encoding " + encoding + " is not known");
    auto matrix = std::make_shared<EncodedMatrix>();
    matrix->encoding = *known;
    matrix->bits = bits;
    matrix->block_rows = block_rows;
    matrix->block_columns = block_columns;
    matrix->zero_offset = zero_offset;
    for (const auto& [role, value] : parts) {
        const auto& [array, dtype, part_shape] = value;
        const std::string name = where + " " + role;
        Part* part = part_of(*matrix, role);
        if (!part) throw CheckpointError(name + ": is no part of a quantized matrix");
        const std::optional<PartType> type = parse_part_type(dtype);
        if (!type) throw CheckpointError(name + ": element type " + dtype + " is not supported");
        require_readable(array, name);
        *part = {.data = static_cast<const std::byte*>(array.data()), .type = *type, .shape = part_shape};
        if (array.nbytes() != part->nbytes())
            throw CheckpointError(name + ": " + std::to_string(array.nbytes()) +
                                  " bytes do not hold its shape, which takes " + std::to_string(part->nbytes()));
        arrays_.push_back(array);
    }
    if (!matrix->values.data) throw CheckpointError(where + ": values are missing");
    weights_.at(at) = {
        .data = matrix->values.data, .dtype = DType::f32, .shape = shape, .encoded = matrix, .mapped = mapped};
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
        .def(nb::init<int64_t, int64_t>(), nb::arg("nlayer"), nb::arg("experts"))
        .def("set", &HeldWeights::set, nb::arg("slot"), nb::arg("index"), nb::arg("array").noconvert(),
             nb::arg("dtype").none(), nb::arg("shape").none(), nb::arg("mapped"))
        .def("set_encoded", &HeldWeights::set_encoded, nb::arg("slot"), nb::arg("index"), nb::arg("encoding"),
             nb::arg("shape"), nb::arg("parts"), nb::kw_only(), nb::arg("bits"), nb::arg("block_rows"),
             nb::arg("block_columns"), nb::arg("zero_offset"), nb::arg("mapped"));
}

}  // namespace qwen3::python
