// SPDX-License-Identifier: Apache-2.0
// Cumulative products.
#include "ops/cumulative_form.h"

namespace tessera::ops::records {

OpDef cum_prod() {
  return cumulative_record("cum_prod",
                           "Products of the elements up to each along `axis`, without itself if "
                           "`exclusive`, from the end if `reverse`.",
                           "CumProd", 26, ir::Reduction::prod);
}

}  // namespace tessera::ops::records
