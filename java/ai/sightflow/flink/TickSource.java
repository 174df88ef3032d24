package ai.sightflow.flink;

import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimitedSourceReader;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;

/**
 * An endless source of numbers at a fixed rate: the clock of sources that are written in Python.
 *
 * <p>Implements {@link org.apache.flink.api.connector.source.Source} by extending {@link
 * NumberSequenceSource}; only the reader differs, which waits for Flink's own rate limiter. PyFlink
 * has no way to define a source in Python. A Python function behind this one is called once for
 * each number and looks each time whether something has come; checkpoint barriers pass in between.
 */
public class TickSource extends NumberSequenceSource {

    private static final long serialVersionUID = 1L;

    private final double ticksPerSecond;

    /**
     * Describes the source; run it with parallelism 1.
     *
     * @param ticksPerSecond how many numbers are emitted in a second, more than 0
     */
    public TickSource(double ticksPerSecond) {
        super(0L, Long.MAX_VALUE - 1);
        if (!(ticksPerSecond > 0)) {
            throw new IllegalArgumentException(
                    "TickSource: `ticksPerSecond` must be more than 0; got " + ticksPerSecond);
        }
        this.ticksPerSecond = ticksPerSecond;
    }

    @Override
    public SourceReader<Long, NumberSequenceSplit> createReader(SourceReaderContext context) {
        return new RateLimitedSourceReader<>(
                super.createReader(context),
                RateLimiterStrategy.<NumberSequenceSplit>perSecond(ticksPerSecond)
                        .createRateLimiter(context.currentParallelism()));
    }
}
