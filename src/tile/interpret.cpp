// SPDX-License-Identifier: Apache-2.0
// Tile programs executed as they are written: block by block, every expression a tile of numbers.
#include <algorithm>
#include <bit>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "tile/program.h"

namespace tessera::tile {
namespace {

using ir::Scalar;

// The elements of an expression in the current blocks of its axes, row-major.
struct Tile {
  std::vector<AxisId> axes;
  std::vector<Scalar> data;
};

struct Block {
  int64_t number = 0, first = 0, count = 0;
};

class Interpreter {
 public:
  Interpreter(const Program& p, const Schedule& s, std::span<const Tensor> inputs)
      : p_(p), inputs_(inputs) {
    for (const Axis& a : p.axes) {
      const auto extent = a.extent.constant();
      TESSERA_USER_CHECK(extent.has_value(), "axis '{}' has the unknown extent {}", a.name,
                         a.extent.to_string());
      extents_.push_back(*extent);
      const auto at = s.blocks.find(a.name);
      sizes_.push_back(at == s.blocks.end() ? std::max<int64_t>(*extent, 1) : at->second);
      TESSERA_USER_CHECK(sizes_.back() >= 1, "axis '{}' has blocks of {}", a.name, sizes_.back());
    }
    blocks_.resize(p.axes.size());
    variables_.resize(p.variables.size());
    for (size_t k = 0; k < p.params.size(); ++k) {
      Shape shape;
      for (const sym::Expr& d : p.params[k].shape) {
        const auto known = d.constant();
        TESSERA_USER_CHECK(known.has_value(), "'{}' has the unknown size {}", p.params[k].name,
                           d.to_string());
        shape.push_back(*known);
      }
      if (k >= p.inputs) {
        const DType type = p.params[k].type;
        results_.emplace_back(is_float(type) ? DType::f64 : type, shape);
        std::fill_n(results_.back().mutable_data(), results_.back().bytes(), std::byte{0});
      } else {
        TESSERA_USER_CHECK(inputs[k].shape() == shape, "input '{}' has another shape",
                           p.params[k].name);
      }
      shapes_.push_back(std::move(shape));
    }
  }

  std::vector<Tensor> run() {
    grid(0);
    return std::move(results_);
  }

 private:
  void grid(size_t depth) {
    if (depth == p_.grid.size()) return execute(p_.body);
    over_blocks(p_.grid[depth], [&] { grid(depth + 1); });
  }

  template <typename F>
  void over_blocks(AxisId a, F body) {
    for (int64_t first = 0, number = 0; first < extents_[a]; first += sizes_[a], ++number) {
      blocks_[a] = {number, first, std::min(sizes_[a], extents_[a] - first)};
      body();
    }
  }

  void execute(const std::vector<Statement>& body) {
    for (const Statement& s : body) {
      known_.clear();
      switch (s.kind) {
        case Statement::Kind::define:
        case Statement::Kind::assign:
          variables_[s.target] = spread(evaluate(s.value), p_.variables[s.target].axes);
          break;
        case Statement::Kind::loop: over_blocks(s.target, [&] { execute(s.body); }); break;
        case Statement::Kind::store: store(s); break;
      }
    }
  }

  int64_t elements(const std::vector<AxisId>& axes) const {
    int64_t n = 1;
    for (AxisId a : axes) n *= blocks_[a].count;
    return n;
  }

  // Calls body(number, position of each operand) for every element of the axes.
  template <typename F>
  void each(const std::vector<AxisId>& axes, std::span<const Tile* const> operands, F body) const {
    std::vector<int64_t> at(axes.size(), 0), place(operands.size(), 0);
    std::vector<std::vector<int64_t>> strides(operands.size(),
                                              std::vector<int64_t>(axes.size(), 0));
    for (size_t k = 0; k < operands.size(); ++k) {
      int64_t stride = 1;
      for (size_t own = operands[k]->axes.size(); own-- > 0;) {
        const auto found = std::find(axes.begin(), axes.end(), operands[k]->axes[own]);
        strides[k][static_cast<size_t>(found - axes.begin())] = stride;
        stride *= blocks_[operands[k]->axes[own]].count;
      }
    }
    const int64_t count = elements(axes);
    for (int64_t n = 0; n < count; ++n) {
      body(n, place);
      for (size_t axis = axes.size(); axis-- > 0;) {
        ++at[axis];
        for (size_t k = 0; k < operands.size(); ++k) place[k] += strides[k][axis];
        if (at[axis] < blocks_[axes[axis]].count) break;
        for (size_t k = 0; k < operands.size(); ++k) place[k] -= at[axis] * strides[k][axis];
        at[axis] = 0;
      }
    }
  }

  Tile spread(const Tile& tile, const std::vector<AxisId>& axes) const {
    Tile result{axes, std::vector<Scalar>(static_cast<size_t>(elements(axes)))};
    const Tile* one[] = {&tile};
    each(axes, one, [&](int64_t n, const std::vector<int64_t>& at) {
      result.data[static_cast<size_t>(n)] = tile.data[static_cast<size_t>(at[0])];
    });
    return result;
  }

  // Subexpressions may be shared: each is computed once for a statement.
  const Tile& evaluate(NodeId id) {
    const auto at = known_.find(id);
    return at != known_.end() ? at->second : known_.emplace(id, compute(id)).first->second;
  }

  Tile compute(NodeId id) {
    const Node& n = p_.nodes[id];
    Tile tile{n.axes, {}};
    switch (n.kind) {
      case Kind::constant:
        tile.data = {is_float(n.type) ? Scalar::of(std::bit_cast<double>(n.bits))
                                      : Scalar::of_integer(n.bits)};
        return tile;
      case Kind::size:
        fail_user(ErrorKind::invalid_input, "the size {} is not known", n.size.to_string());
      case Kind::index:
        for (int64_t k = 0; k < blocks_[n.target].count; ++k)
          tile.data.push_back(Scalar::of_integer(blocks_[n.target].first + k));
        return tile;
      case Kind::program_id:
        tile.data = {Scalar::of_integer(blocks_[n.target].number)};
        return tile;
      case Kind::variable: return variables_[n.target];
      default: break;
    }
    std::vector<Tile> args;
    for (NodeId a : n.args) args.push_back(evaluate(a));
    std::vector<const Tile*> operands;
    for (const Tile& t : args) operands.push_back(&t);
    if (n.kind == Kind::reduce || n.kind == Kind::dot) return reduce(n, operands);
    tile.data.resize(static_cast<size_t>(elements(n.axes)));
    each(n.axes, operands, [&](int64_t k, const std::vector<int64_t>& at) {
      std::vector<Scalar> x;
      for (size_t o = 0; o < operands.size(); ++o)
        x.push_back(operands[o]->data[static_cast<size_t>(at[o])]);
      tile.data[static_cast<size_t>(k)] = element(n, x);
    });
    return tile;
  }

  Scalar element(const Node& n, const std::vector<Scalar>& x) const {
    if (n.kind == Kind::load) return load(n, x);
    const DType type = p_.nodes[n.args[0]].type;
    if (n.kind == Kind::cast)
      return is_float(n.type) && is_float(type) ? x[0]
             : is_float(n.type)                 ? ir::convert(x[0], type, DType::f64)
                                                : ir::convert(x[0], wide(type), n.type);
    if (n.prim == ir::Prim::select) return x[0].integer ? x[1] : x[2];
    return ir::apply(n.prim, wide(type), x[0], x.size() > 1 ? x[1] : Scalar{});
  }

  static DType wide(DType type) { return is_float(type) ? DType::f64 : type; }

  int64_t place(uint32_t param, std::span<const Scalar> indices) const {
    int64_t at = 0;
    for (size_t k = 0; k < indices.size(); ++k) {
      const int64_t index = indices[k].integer, extent = shapes_[param][k];
      TESSERA_USER_CHECK(index >= 0 && index < extent, "index {} of '{}' is outside of [0, {})",
                         index, p_.params[param].name, extent);
      at = at * extent + index;
    }
    return at;
  }

  Scalar load(const Node& n, const std::vector<Scalar>& x) const {
    if (n.masked && !x.back().integer) return {};
    const Tensor& t = inputs_[n.target];
    const int64_t at = place(n.target, std::span(x).first(x.size() - (n.masked ? 1 : 0)));
    return is_float(t.type()) ? Scalar::of(t.float_at(at)) : Scalar::of_integer(t.integer_at(at));
  }

  Tile reduce(const Node& n, std::span<const Tile* const> operands) const {
    Tile result{n.axes, {}};
    const auto kind = n.kind == Kind::dot ? ir::Reduction::sum : n.reduction;
    const DType type = wide(n.type);
    result.data.assign(static_cast<size_t>(elements(n.axes)), ir::identity(kind, type));
    std::vector<AxisId> all = n.axes;
    all.insert(all.end(), n.reduced.begin(), n.reduced.end());
    std::vector<const Tile*> with_result(operands.begin(), operands.end());
    with_result.push_back(&result);
    each(all, with_result, [&](int64_t, const std::vector<int64_t>& at) {
      Scalar x = operands[0]->data[static_cast<size_t>(at[0])];
      if (n.kind == Kind::dot)
        x = ir::apply(ir::Prim::mul, type, x, operands[1]->data[static_cast<size_t>(at[1])]);
      Scalar& total = result.data[static_cast<size_t>(at.back())];
      total = ir::apply(ir::combiner(kind), type, total, x);
    });
    return result;
  }

  void store(const Statement& s) {
    std::vector<Tile> tiles{evaluate(s.value)};
    for (NodeId id : s.indices) tiles.push_back(evaluate(id));
    if (s.mask != none) tiles.push_back(evaluate(s.mask));
    std::vector<AxisId> axes;
    for (const Tile& t : tiles)
      for (AxisId a : t.axes)
        if (std::find(axes.begin(), axes.end(), a) == axes.end()) axes.push_back(a);
    std::vector<const Tile*> operands;
    for (const Tile& t : tiles) operands.push_back(&t);
    Tensor& to = results_[s.target - p_.inputs];
    each(axes, operands, [&](int64_t, const std::vector<int64_t>& at) {
      std::vector<Scalar> x;
      for (size_t k = 0; k < tiles.size(); ++k)
        x.push_back(tiles[k].data[static_cast<size_t>(at[k])]);
      if (s.mask != none && !x.back().integer) return;
      const int64_t where = place(s.target, std::span(x).subspan(1, s.indices.size()));
      if (is_float(to.type())) to.set_float(where, x[0].real);
      else to.set_integer(where, x[0].integer);
    });
  }

  const Program& p_;
  std::span<const Tensor> inputs_;
  std::vector<Shape> shapes_;
  std::vector<int64_t> extents_, sizes_;
  std::vector<Block> blocks_;
  std::vector<Tile> variables_;
  std::map<NodeId, Tile> known_;
  std::vector<Tensor> results_;
};

}  // namespace

std::vector<Tensor> interpret(const Program& program, const Schedule& schedule,
                              std::span<const Tensor> inputs) {
  return Interpreter(program, schedule, inputs).run();
}

}  // namespace tessera::tile
