#include "runtime/machine.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>

#include "check.hpp"
#include "threads/placement.hpp"

using namespace qwen3;

namespace {

// A /proc and /sys of one's own.
class Machine {
public:
    Machine() : root_(std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/qwen3-machine-XXXXXX") {
        if (!mkdtemp(root_.data())) throw std::runtime_error("no temporary folder");
        put("proc/meminfo", "MemTotal:       9000 kB\nMemFree:   10 kB\nMemAvailable:   8000 kB\nBuffers: 1 kB\n");
    }
    ~Machine() { std::filesystem::remove_all(root_); }
    void put(const std::string& path, const std::string& text) const {
        const std::filesystem::path file = std::filesystem::path(root_) / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    void remove(const std::string& path) const { std::filesystem::remove_all(std::filesystem::path(root_) / path); }

    // Two nodes with two cores of two processors each; siblings are four apart, as the kernel often numbers them.
    void two_nodes() const {
        put("sys/devices/system/cpu/online", "0-7\n");
        put("sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
        put("sys/devices/system/node/node1/cpulist", "2-3,6-7\n");
        put("sys/devices/system/node/node2/cpulist", "\n");  // memory only
        put("sys/devices/system/node/online", "0-2\n");
        for (int cpu = 0; cpu < 8; ++cpu)
            put("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/core_cpus_list",
                std::to_string(cpu % 4) + "," + std::to_string(cpu % 4 + 4) + "\n");
    }

    int64_t available() const { return available_memory(root_); }
    Topology topology(const CpuList& allowed = first(8)) const { return read_topology(allowed, root_); }
    int usable(const CpuList& allowed = first(8)) const { return usable_cpus(topology(allowed), root_); }
    int threads(const CpuList& allowed = first(8)) const { return default_threads(topology(allowed), root_); }

    static CpuList first(int count) {
        CpuList cpus(static_cast<size_t>(count));
        std::iota(cpus.begin(), cpus.end(), 0);
        return cpus;
    }

private:
    std::string root_;
};

// "node: processors, node: processors"
std::string text(const Topology& topology) {
    std::string out;
    for (const Core& core : topology.cores) {
        out += (out.empty() ? "" : ", ") + std::to_string(core.node) + ":";
        for (const int cpu : core.cpus) out += " " + std::to_string(cpu);
    }
    return out;
}

const CpuList kNode0{0, 1, 4, 5};
const CpuList kNode1{2, 3, 6, 7};
const CpuList kAnywhere;

}  // namespace

TEST("cores and nodes are what the kernel says they are", {
    const Machine machine;
    machine.two_nodes();
    const Topology topology = machine.topology();
    CHECK(text(topology) == "0: 0 4, 0: 1 5, 1: 2 6, 1: 3 7");
    CHECK(topology.cpus() == 8);
    CHECK((topology.nodes() == std::vector<int>{0, 1}));
    CHECK(topology.of_node(1) == kNode1);
});

TEST("an older kernel calls the siblings by another name", {
    const Machine machine;
    machine.put("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n");
    machine.put("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n");
    CHECK(text(machine.topology({0, 1, 2})) == "0: 0 1, 0: 2");
});

TEST("without nodes, or without anything, every processor is a core of node 0", {
    const Machine machine;
    machine.two_nodes();
    machine.remove("sys/devices/system/node");
    CHECK(text(machine.topology()) == "0: 0 4, 0: 1 5, 0: 2 6, 0: 3 7");
    machine.remove("sys");
    CHECK(text(machine.topology({3, 9})) == "0: 3, 0: 9");
    CHECK(text(machine.topology({})) == "0: 0");
});

TEST("processors that are offline or not allowed do not count", {
    const Machine machine;
    machine.two_nodes();
    machine.put("sys/devices/system/cpu/online", "0-4,6-7\n");
    CHECK(text(machine.topology()) == "0: 0 4, 0: 1, 1: 2 6, 1: 3 7");
    CHECK(text(machine.topology({1, 5, 6, 100})) == "0: 1, 1: 6");
    CHECK(machine.topology({1, 5, 6}).of_node(0) == CpuList{1});
});

TEST("a thread a physical core, unless there is only one", {
    const Machine machine;
    machine.two_nodes();
    CHECK(machine.usable() == 8);
    CHECK(machine.threads() == 4);
    CHECK(machine.threads({0, 1, 4}) == 2);
    CHECK(machine.threads({0, 4}) == 2);
    CHECK(machine.threads({5}) == 1);
});

TEST("control groups limit the time, wherever they lie above the process", {
    const Machine machine;
    machine.put("sys/fs/cgroup/cpu.max", "150000 100000\n");  // a core and a half
    CHECK(machine.usable() == 2);
    CHECK(machine.threads() == 2);
    machine.put("proc/self/cgroup", "0::/user/app\n");
    machine.put("sys/fs/cgroup/cpu.max", "max 100000\n");
    CHECK(machine.usable() == 8);
    machine.put("sys/fs/cgroup/user/cpu.max", "300000 100000\n");
    machine.put("sys/fs/cgroup/user/app/cpu.max", "max 100000\n");
    CHECK(machine.usable() == 3);
    machine.put("sys/fs/cgroup/user/app/cpu.max", "5000 100000\n");
    CHECK(machine.usable() == 1);
    CHECK(machine.usable({0}) == 1);
});

TEST("control groups of version 1 limit the time", {
    const Machine machine;
    machine.put("proc/self/cgroup", "5:memory:/a\n4:cpuacct,cpu:/app\n0::/\n");
    machine.put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    machine.put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    CHECK(machine.usable() == 8);
    machine.put("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "250000\n");
    machine.put("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
    CHECK(machine.usable() == 3);
});

TEST("a machine that says strange things is one without limits", {
    const Machine machine;
    machine.put("proc/self/cgroup", "nonsense\n0::no-slash\n0\n");
    machine.put("sys/fs/cgroup/cpu.max", "lots 0\n");
    machine.put("sys/devices/system/cpu/online", "all\n");
    machine.put("sys/devices/system/cpu/cpu1/topology/core_cpus_list", "\n");
    CHECK(machine.usable() == 8);
});

TEST("a device a node, as far as threads and heads allow", {
    const Machine machine;
    CHECK((default_devices(machine.topology(), 8, 16) == std::vector<std::string>{"cpu:0"}));
    machine.two_nodes();
    CHECK((default_devices(machine.topology(), 4, 16) == std::vector<std::string>{"cpu:0", "cpu:1"}));
    CHECK((default_devices(machine.topology(), 1, 16) == std::vector<std::string>{"cpu:0"}));
    CHECK((default_devices(machine.topology(), 4, 1) == std::vector<std::string>{"cpu:0"}));
    CHECK((default_devices(machine.topology({0, 1, 4}), 4, 16) == std::vector<std::string>{"cpu:0"}));
});

TEST("a thread for every core is kept to its core, node by node", {
    const Machine machine;
    machine.two_nodes();
    const Topology topology = machine.topology();
    CHECK((place(topology, 1, 4) == Placement{{{0, 4}, {1, 5}, {2, 6}, {3, 7}}}));
    CHECK((place(topology, 2, 4) == Placement{{{0, 4}, {1, 5}}, {{2, 6}, {3, 7}}}));
    CHECK((place(topology, 3, 4) == Placement{{{0, 4}, {1, 5}}, {{2, 6}}, {{3, 7}}}));
    CHECK((place(topology, 4, 4) == Placement{{{0, 4}}, {{1, 5}}, {{2, 6}}, {{3, 7}}}));
    CHECK((place(machine.topology({1, 2, 6}), 1, 2) == Placement{{{1}, {2, 6}}}));
    CHECK((place(machine.topology({1}), 1, 1) == Placement{{{1}}}));
});

TEST("other numbers of threads stay on the node where their weights lie", {
    const Machine machine;
    machine.two_nodes();
    const Topology topology = machine.topology();
    CHECK((place(topology, 2, 2) == Placement{{kNode0}, {kNode1}}));
    CHECK((place(topology, 1, 2) == Placement{{kNode0, kNode1}}));  // both memories' bandwidth
    CHECK((place(topology, 1, 3) == Placement{{kNode0, kNode0, kNode1}}));
    CHECK((place(topology, 2, 3) == Placement{{kNode0, kNode0}, {kNode1}}));
    CHECK((place(topology, 2, 8) == Placement{{kNode0, kNode0, kNode0, kNode0}, {kNode1, kNode1, kNode1, kNode1}}));
    CHECK((place(topology, 5, 8).size() == 5));
});

TEST("nothing is kept anywhere where one node has cores to spare, nor where threads outnumber processors", {
    const Machine machine;
    CHECK((place(machine.topology(), 2, 4) == Placement{{kAnywhere, kAnywhere}, {kAnywhere, kAnywhere}}));
    machine.two_nodes();
    CHECK((place(machine.topology({0, 1, 4}), 1, 3) == Placement{{kAnywhere, kAnywhere, kAnywhere}}));
    CHECK((place(machine.topology({0, 2}), 1, 3) == Placement{{kAnywhere, kAnywhere, kAnywhere}}));
});

TEST("free memory is what the kernel says can be had", {
    const Machine machine;
    CHECK(machine.available() == 8000 * 1024);
    machine.put("sys/fs/cgroup/memory.max", "max\n");
    machine.put("sys/fs/cgroup/memory.current", "5000\n");
    CHECK(machine.available() == 8000 * 1024);
});

TEST("a control group's limit holds, and cached files do not fill it", {
    const Machine machine;
    machine.put("sys/fs/cgroup/memory.max", "1000000\n");
    machine.put("sys/fs/cgroup/memory.current", "990000\n");
    CHECK(machine.available() == 10000);
    machine.put("sys/fs/cgroup/memory.stat", "anon 90000\nfile 900000\ninactive_file 700000\nactive_file 200000\n");
    CHECK(machine.available() == 910000);
    machine.put("sys/fs/cgroup/memory.current", "2000000\n");
    CHECK(machine.available() == 0);
});

TEST("the tightest of the groups above a process holds", {
    const Machine machine;
    machine.put("proc/self/cgroup", "0::/user/app\n");
    machine.put("sys/fs/cgroup/user/app/memory.max", "max\n");
    machine.put("sys/fs/cgroup/user/app/memory.current", "5\n");
    machine.put("sys/fs/cgroup/user/memory.max", "1000000\n");
    machine.put("sys/fs/cgroup/user/memory.current", "250000\n");
    CHECK(machine.available() == 750000);
    machine.put("sys/fs/cgroup/memory.max", "500000\n");
    machine.put("sys/fs/cgroup/memory.current", "300000\n");
    CHECK(machine.available() == 200000);
});

TEST("control groups of version 1 limit memory", {
    const Machine machine;
    machine.put("proc/self/cgroup", "4:memory:/app\n");
    machine.put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    machine.put("sys/fs/cgroup/memory/memory.usage_in_bytes", "5000\n");
    CHECK(machine.available() == 8000 * 1024);
    machine.put("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "1000000\n");
    machine.put("sys/fs/cgroup/memory/app/memory.usage_in_bytes", "900000\n");
    machine.put("sys/fs/cgroup/memory/app/memory.stat", "cache 1\ntotal_inactive_file 50000\n");
    CHECK(machine.available() == 150000);
});

TEST_MAIN()
