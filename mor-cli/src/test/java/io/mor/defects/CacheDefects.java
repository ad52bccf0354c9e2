package io.mor.defects;

import io.mor.api.backend.Backend;
import io.mor.api.cache.KvCache;
import io.mor.api.cache.KvVisit;
import io.mor.api.tensor.IntTensor;
import io.mor.testkit.KvCacheContract;

/** Cache strategies, and storage under one, with one defect each. */
final class CacheDefects {

    private CacheDefects() {}

    private static final KvCache OWN = (recursion, recursions, layer) -> KvVisit.own(recursion);

    static final class Right extends KvCacheContract {
        @Override
        protected KvCache createCache() {
            return OWN;
        }
    }

    /** Sequences of more than a page lose their first one. */
    static final class ForgetsAPage extends KvCacheContract {

        private static final int PAGE = 16;

        @Override
        protected KvCache createCache() {
            return OWN;
        }

        @Override
        protected Backend createBackend() {
            return DefectiveBackend.with(call -> {
                Object result = call.run();
                if (call.is("entryRanges")) {
                    IntTensor start = call.argument(0);
                    int[] starts = call.delegate().readInts(start);
                    int[] ends = call.delegate().readInts(call.argument(1));
                    for (int row = 0; row < starts.length; row++) {
                        starts[row] += ends[row] - starts[row] > PAGE ? PAGE : 0;
                    }
                    call.delegate().write(start, starts);
                }
                return result;
            });
        }
    }

    static final class ReadsWhatNobodyStored extends KvCacheContract {
        @Override
        protected KvCache createCache() {
            return new KvCache() {
                @Override
                public KvVisit visit(int recursion, int recursions, int layer) {
                    return recursion == 1 ? KvVisit.own(1) : KvVisit.shared(recursion - 1);
                }

                @Override
                public boolean everyCandidateRuns(int recursion) {
                    return true;
                }
            };
        }

        @Override
        protected boolean readsEarlierRecursions() {
            return true;
        }

        @Override
        protected boolean storesAtLaterRecursions() {
            return false;
        }
    }

    static final class ChangesItsPlan extends KvCacheContract {
        @Override
        protected KvCache createCache() {
            return new KvCache() {
                private int asked;

                @Override
                public KvVisit visit(int recursion, int recursions, int layer) {
                    return new KvVisit(true, recursion, false, asked++ < 100 ? 0 : 8);
                }
            };
        }
    }

    static final class SharesOnlyWhatWasSelected extends KvCacheContract {
        @Override
        protected KvCache createCache() {
            return (recursion, recursions, layer) -> recursion == 1 ? KvVisit.own(1) : KvVisit.shared(1);
        }

        @Override
        protected boolean readsEarlierRecursions() {
            return true;
        }

        @Override
        protected boolean storesAtLaterRecursions() {
            return false;
        }
    }
}
