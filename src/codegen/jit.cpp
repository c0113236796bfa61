// SPDX-License-Identifier: Apache-2.0
// Compiles kernels with LLVM: one module for a few kernels, modules in parallel, objects linked by
// ORC into one library per call.
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Mem2Reg.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "codegen/emit_math.h"
#include "codegen/emit_scalar.h"
#include "codegen/emitter.h"
#include "codegen/loop_kernel.h"
#include "codegen/simplify.h"
#include "ops/counts.h"

namespace tessera::codegen {
namespace {

// What LLVM reports as failed: our defect.
template <typename T>
T must(llvm::Expected<T> value) {
  if (!value) TESSERA_CHECK(false, "LLVM: {}", llvm::toString(value.takeError()));
  return std::move(*value);
}
void must(llvm::Error error) {
  if (error) TESSERA_CHECK(false, "LLVM: {}", llvm::toString(std::move(error)));
}

llvm::orc::JITTargetMachineBuilder host_machine() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (!builder) {
    fail_user(ErrorKind::missing_resource, "no native code generator: {}",
              llvm::toString(builder.takeError()));
  }
  builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Default);
  return std::move(*builder);
}

// One kernel to be compiled; a module holds a few.
struct Job {
  const ir::Meaning* meaning = nullptr;
  std::string name;
  LoopKernel kernel;
};

constexpr size_t kernels_per_module = 4;

bool is_empty(const ir::Meaning& meaning) {
  return element_count(meaning.output_type(0).concrete_shape()).value_or(0) == 0;
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::PromotePass());
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) passes.run(f, functions);
}

// Emits the jobs of one module and compiles them to an object file.
std::unique_ptr<llvm::MemoryBuffer> compile_module(std::span<Job> jobs,
                                                   llvm::TargetMachine& machine,
                                                   std::string* dump) {
  llvm::LLVMContext context;
  llvm::Module module("kernels", context);
  module.setDataLayout(machine.createDataLayout());
  module.setTargetTriple(machine.getTargetTriple().str());
  const bool wide = machine.getTargetFeatureString().contains("+avx512f");
  if (wide) module.addModuleFlag(llvm::Module::Warning, avx512_flag, 1);
  for (Job& job : jobs) {
    const int lanes = wide ? 16 : 8;
    const ir::Meaning meaning = with_small_divisions(*job.meaning, lanes);
    LoopNest nest(meaning, lanes);
    llvm::IRBuilder<> builder(context);
    Emitter(nest, builder, module).emit(job.name);
    const ops::Counts counts = ops::count(*job.meaning);
    const auto rows = static_cast<double>(nest.rows);
    job.kernel.rows = nest.rows;
    job.kernel.flops_per_row = (counts.flops + counts.transcendental) / rows;
    job.kernel.bytes_per_row = (counts.bytes_read + counts.bytes_written) / rows;
  }
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    f.addFnAttr("prefer-vector-width", wide ? "512" : "256");
    f.addFnAttr("min-legal-vector-width", wide ? "512" : "256");
  }
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  const bool broken = llvm::verifyModule(module, &problems);
  if (!broken) optimize(module, machine);
  if (dump || broken) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    module.print(stream, nullptr);
    TESSERA_CHECK(!broken, "invalid LLVM code: {}\n{}", problem, text);
    *dump += text;
  }
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager codegen;
  TESSERA_CHECK(
      !machine.addPassesToEmitFile(codegen, stream, nullptr, llvm::CodeGenFileType::ObjectFile));
  codegen.run(module);
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(object), false);
}

}  // namespace

struct Jit::Impl {
  JitOptions options;
  llvm::orc::JITTargetMachineBuilder machine;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  int libraries = 0;
};

Jit::Jit(JitOptions options) : impl_(new Impl{std::move(options), host_machine(), nullptr}) {
  impl_->jit = must(llvm::orc::LLJITBuilder()
                        .setJITTargetMachineBuilder(impl_->machine)
                        .setNumCompileThreads(0)
                        .create());
  auto& library = impl_->jit->getMainJITDylib();
  llvm::orc::SymbolMap symbols;
  for (const ExternalFunction& f : external_functions())
    symbols[impl_->jit->mangleAndIntern(f.name)] = {llvm::orc::ExecutorAddr::fromPtr(f.address),
                                                    llvm::JITSymbolFlags::Exported};
  must(library.define(llvm::orc::absoluteSymbols(std::move(symbols))));
  library.addGenerator(must(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      impl_->jit->getDataLayout().getGlobalPrefix())));
}

Jit::~Jit() = default;

std::vector<LoopKernel> Jit::compile(std::span<const ir::Meaning* const> meanings) {
  const int library_number = impl_->libraries++;
  std::vector<Job> jobs;
  std::vector<size_t> job_of(meanings.size(), SIZE_MAX);
  for (size_t k = 0; k < meanings.size(); ++k) {
    if (is_empty(*meanings[k])) continue;
    job_of[k] = jobs.size();
    jobs.push_back({meanings[k], fmt::format("kernel_{}_{}", library_number, k), {}});
  }
  const size_t modules = (jobs.size() + kernels_per_module - 1) / kernels_per_module;
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects(modules);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      const auto machine = must(impl_->machine.createTargetMachine());
      for (size_t m; (m = next.fetch_add(1)) < modules;) {
        const size_t first = m * kernels_per_module;
        const std::span part =
            std::span(jobs).subspan(first, std::min(kernels_per_module, jobs.size() - first));
        objects[m] = compile_module(part, *machine, impl_->options.dump);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      error = std::current_exception();
    }
  };
  const size_t threads =
      impl_->options.dump ? 1 : std::min<size_t>(std::max(1, impl_->options.threads), modules);
  std::vector<std::thread> helpers;
  for (size_t t = 1; t < threads; ++t) helpers.emplace_back(work);
  work();
  for (std::thread& t : helpers) t.join();
  if (error) std::rethrow_exception(error);

  for (auto& object : objects) must(impl_->jit->addObjectFile(std::move(object)));
  std::vector<LoopKernel> kernels(meanings.size());
  for (size_t k = 0; k < meanings.size(); ++k) {
    if (job_of[k] == SIZE_MAX) continue;
    kernels[k] = jobs[job_of[k]].kernel;
    kernels[k].run = must(impl_->jit->lookup(jobs[job_of[k]].name)).toPtr<KernelFn>();
  }
  return kernels;
}

}  // namespace tessera::codegen
