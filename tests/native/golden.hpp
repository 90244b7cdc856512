// Golden files: tiny models and the logits that the PyTorch reference gives for them, as make_golden.py wrote them.
#pragma once

#include <deque>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "qwen3/weights.hpp"

namespace qwen3::test {

struct GoldenRow {
    int64_t position = 0;
    std::vector<float> logits;  // [dvoc]
};

struct Golden {
    std::string name;
    Meta meta;
    std::vector<int32_t> ids;
    std::vector<GoldenRow> rows;  // by position
};

inline Golden read_golden(const std::filesystem::path& path) {
    std::ifstream file(path);
    auto read = [&](const char* key, auto& value) {
        std::string found;
        if (!(file >> found >> value) || found != key)
            throw std::runtime_error(path.string() + ": expected " + key + ", found '" + found + "'");
    };
    Golden golden;
    golden.name = path.stem().string();
    Meta& m = golden.meta;
    size_t ids = 0, rows = 0;
    read("nlayer", m.nlayer), read("d", m.d), read("nh", m.nh), read("nkvh", m.nkvh), read("dh", m.dh);
    read("di", m.di), read("dctx", m.dctx), read("dvoc", m.dvoc), read("tied", m.tie_embd);
    read("epsilon", m.epsilon), read("theta", m.theta);
    std::string next;
    const std::streampos at = file.tellg();
    file >> next;
    file.seekg(at);
    if (next == "nexpert") {  // and exactly one layer that is dense
        m.experts.dense_layers.resize(1);
        read("nexpert", m.experts.count), read("kexpert", m.experts.per_token), read("dexpert", m.experts.di);
        read("norm_topk", m.experts.normalised), read("dense_layer", m.experts.dense_layers.front());
    }
    read("ids", ids);
    golden.ids.resize(ids);
    for (int32_t& id : golden.ids) file >> id;
    read("rows", rows);
    golden.rows.resize(rows);
    for (GoldenRow& row : golden.rows) {
        file >> row.position;
        row.logits.resize(static_cast<size_t>(m.dvoc));
        for (float& logit : row.logits) file >> logit;
    }
    if (!file || golden.rows.empty()) throw std::runtime_error(path.string() + " ends early");
    return golden;
}

inline std::vector<Golden> read_goldens(const std::filesystem::path& folder) {
    std::vector<Golden> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) all.push_back(read_golden(entry.path()));
    if (all.empty()) throw std::runtime_error(folder.string() + " holds no golden file");
    return all;
}

// The weights of make_golden.py, number for number; they live as long as this object.
class GoldenWeights {
public:
    explicit GoldenWeights(const Meta& meta) : weights_(meta.nlayer, meta.experts.count) {
        for_each_place(meta, [&](const Place& place) {
            const int64_t index = place.layer * (per_expert(place.slot) ? meta.experts.count : 1) + place.expert;
            weights_.at(place) = tensor(place.slot, index, slot_shape(place.slot, meta));
        });
    }
    const Weights& get() const { return weights_; }

private:
    TensorView tensor(Slot slot, int64_t index, std::vector<int64_t> shape) {
        uint32_t state = 2166136261U;  // FNV-1a of the name
        for (char c : std::string(slot_name(slot)) + "." + std::to_string(index))
            state = (state ^ static_cast<uint8_t>(c)) * 16777619U;

        const bool norm = shape.size() == 1;
        int64_t columns = 1;  // the least power of two >= sqrt(columns)
        while (!norm && columns * columns < shape[1]) columns *= 2;
        const float gain = slot == Slot::input_embd || slot == Slot::output_embd ? 2.0F : 1.0F;
        const float scale = gain / 64.0F / static_cast<float>(columns);

        TensorView view{.data = nullptr, .dtype = DType::f32, .shape = std::move(shape)};
        std::vector<float>& values = storage_.emplace_back(view.nbytes() / sizeof(float));
        for (float& v : values) {
            state = state * 1664525U + 1013904223U;
            const int32_t byte = static_cast<int32_t>(state >> 24) - 128;
            v = norm ? 1.0F + static_cast<float>(byte >> 1) / 128.0F : static_cast<float>(byte) * scale;
        }
        view.data = reinterpret_cast<const std::byte*>(values.data());
        return view;
    }

    std::deque<std::vector<float>> storage_;
    Weights weights_;
};

}  // namespace qwen3::test
