#include "threads/topology.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>

namespace qwen3 {
namespace {

// A set as the kernel writes it, "0-3,8,10-11"; empty where there is no such file.
CpuList read_list(const std::string& path) {
    std::ifstream file(path);
    CpuList cpus;
    for (std::string part; std::getline(file, part, ',');) {
        const char* end = part.data() + part.size();
        int first = 0;
        const auto [next, error] = std::from_chars(part.data(), end, first);
        if (error != std::errc()) break;
        int last = first;
        if (next != end && *next == '-') std::from_chars(next + 1, end, last);
        for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    }
    return cpus;
}

std::map<int, int> read_nodes(const std::string& folder) {
    std::map<int, int> node_of;  // by processor
    std::error_code error;       // a folder that is missing has no entries
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename();
        int node = 0;
        if (name.starts_with("node") &&
            std::from_chars(name.data() + 4, name.data() + name.size(), node).ec == std::errc())
            for (const int cpu : read_list(entry.path() / "cpulist")) node_of[cpu] = node;
    }
    return node_of;
}

// The lowest processor of the core that this one belongs to, allowed or not.
int read_core(const std::string& folder, int cpu) {
    for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {  // the second is the older name
        const CpuList siblings = read_list(folder + "/cpu" + std::to_string(cpu) + "/topology/" + name);
        if (!siblings.empty()) return siblings.front();
    }
    return cpu;
}

}  // namespace

int Topology::cpus() const {
    int count = 0;
    for (const Core& core : cores) count += static_cast<int>(core.cpus.size());
    return count;
}

std::vector<int> Topology::nodes() const {
    std::vector<int> nodes;
    for (const Core& core : cores)
        if (nodes.empty() || nodes.back() != core.node) nodes.push_back(core.node);
    return nodes;
}

CpuList Topology::of_node(int node) const {
    CpuList list;
    for (const Core& core : cores)
        if (core.node == node) list.insert(list.end(), core.cpus.begin(), core.cpus.end());
    std::ranges::sort(list);
    return list;
}

Topology read_topology(const CpuList& allowed, const std::string& root) {
    const std::string folder = root + "/sys/devices/system";
    const CpuList online = read_list(folder + "/cpu/online");
    const std::map<int, int> node_of = read_nodes(folder + "/node");
    std::map<std::pair<int, int>, CpuList> cores;  // by node and lowest processor
    for (const int cpu : allowed) {
        if (!online.empty() && std::ranges::find(online, cpu) == online.end()) continue;
        const auto node = node_of.find(cpu);
        cores[{node == node_of.end() ? 0 : node->second, read_core(folder + "/cpu", cpu)}].push_back(cpu);
    }
    if (cores.empty()) cores[{0, 0}] = {0};  // what it says and what is allowed contradict each other
    Topology topology;
    for (auto& [place, cpus] : cores) topology.cores.push_back({place.first, std::move(cpus)});
    return topology;
}

}  // namespace qwen3
