package org.apache.flink.metrics.prometheus;

import java.util.Properties;

import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

/**
 * Makes a {@link LoopbackReporter} of the option {@code port}.
 *
 * <p>Implements {@link MetricReporterFactory}, which Flink finds by the file in META-INF/services; it
 * takes no reporter in another way, and none from Python.
 */
public class LoopbackReporterFactory implements MetricReporterFactory {

    @Override
    public MetricReporter createMetricReporter(Properties properties) {
        int port = ((MetricConfig) properties).getInteger("port", 0);
        return new LoopbackReporter(port);
    }
}
