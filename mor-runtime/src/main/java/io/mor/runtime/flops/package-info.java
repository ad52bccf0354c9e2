/** What a model costs: FLOPs by the paper's formula and as really done, parameters, keys and values. */
package io.mor.runtime.flops;
