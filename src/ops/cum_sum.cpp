// SPDX-License-Identifier: Apache-2.0
// Cumulative sums.
#include "ops/cumulative_form.h"

namespace tessera::ops::records {

OpDef cum_sum() {
  return cumulative_record("cum_sum",
                           "Sums of the elements up to each along `axis`, without itself if "
                           "`exclusive`, from the end if `reverse`.",
                           "CumSum", 11, ir::Reduction::sum);
}

}  // namespace tessera::ops::records
