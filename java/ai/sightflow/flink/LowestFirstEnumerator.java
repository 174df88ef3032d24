package ai.sightflow.flink;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.PriorityQueue;

import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SupportsBatchSnapshot;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource.NumberSequenceSplit;

/**
 * Cuts the next range off the lowest numbers that are left, one range for each request; ranges get
 * shorter towards the end, so that no reader waits long for the last one.
 *
 * <p>Implements {@link SplitEnumerator}, which PyFlink cannot express in Python. Flink's own
 * IteratorSourceEnumerator appends the ranges that a failed reader gives back at the end of its
 * queue; here they are the lowest numbers left and therefore go out first. Ranges are cut on demand:
 * the checkpoint holds one range plus those that came back, however long the input is.
 */
final class LowestFirstEnumerator
        implements SplitEnumerator<NumberSequenceSplit, Collection<NumberSequenceSplit>>,
                SupportsBatchSnapshot {

    /** A reader gets at most this part of its share of what is left. */
    private static final long PARTS = 8;

    private final SplitEnumeratorContext<NumberSequenceSplit> context;
    private final long maxRangeSize;
    private final PriorityQueue<NumberSequenceSplit> remaining =
            new PriorityQueue<>(Comparator.comparingLong(NumberSequenceSplit::from));

    LowestFirstEnumerator(
            SplitEnumeratorContext<NumberSequenceSplit> context,
            Collection<NumberSequenceSplit> remaining,
            long maxRangeSize) {
        this.context = context;
        this.maxRangeSize = maxRangeSize;
        this.remaining.addAll(remaining);
        context.metricGroup().setUnassignedSplitsGauge(this::rangesLeft);
    }

    /** The id of the range that starts at a number: ids sort as their ranges do. */
    static String idOf(long from) {
        return String.format(Locale.ROOT, "%019d", from);
    }

    @Override
    public void start() {}

    @Override
    public void handleSplitRequest(int subtask, String hostname) {
        long rangeSize = rangeSize();
        NumberSequenceSplit lowest = remaining.poll();
        if (lowest == null) {
            context.signalNoMoreSplits(subtask);
        } else {
            context.assignSplit(cut(lowest, rangeSize), subtask);
        }
    }

    /** Returns how many numbers the next reader gets. */
    private long rangeSize() {
        long share = numbersLeft() / (PARTS * context.currentParallelism());
        return Math.max(1, Math.min(maxRangeSize, share));
    }

    /** Returns the first numbers of a range and keeps the rest of it. */
    private NumberSequenceSplit cut(NumberSequenceSplit range, long rangeSize) {
        if (range.to() - range.from() < rangeSize) {
            return range;
        }
        long rest = range.from() + rangeSize;
        remaining.add(new NumberSequenceSplit(idOf(rest), rest, range.to()));
        return new NumberSequenceSplit(range.splitId(), range.from(), rest - 1);
    }

    @Override
    public void addSplitsBack(List<NumberSequenceSplit> splits, int subtask) {
        remaining.addAll(splits);
    }

    @Override
    public void addReader(int subtask) {}

    @Override
    public Collection<NumberSequenceSplit> snapshotState(long checkpointId) {
        return new ArrayList<>(remaining);
    }

    @Override
    public void close() {}

    private long rangesLeft() {
        long size = rangeSize();
        return (numbersLeft() + size - 1) / size;
    }

    private long numbersLeft() {
        long numbers = 0;
        for (NumberSequenceSplit range : remaining) {
            numbers += range.to() - range.from() + 1;
        }
        return numbers;
    }
}
