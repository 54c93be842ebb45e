/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "../process_costs.h"
#include "../timing.h"
#include "floors.h"

double floor_rest(const struct sample *sample)
{
    double used = own_cpu_seconds();

    sleep_seconds(sample->rest_seconds);
    return (own_cpu_seconds() - used) * 1e6 / sample->rest_seconds;
}
