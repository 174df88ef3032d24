package org.apache.flink.metrics.prometheus;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;

import io.prometheus.client.exporter.HTTPServer;

/**
 * Shows metrics to Prometheus as {@link PrometheusReporter} does, on the loopback address only.
 *
 * <p>Implements {@link org.apache.flink.metrics.reporter.MetricReporter} by extending {@link
 * AbstractPrometheusReporter}: all names and labels are Flink's own, only the server differs.
 * Flink's reporter listens on all addresses of the machine and has no option for it, and a reporter
 * cannot be written in Python. It is in the package of Flink's reporter because the registry of the
 * metrics is visible there only.
 */
public class LoopbackReporter extends AbstractPrometheusReporter {

    private final HTTPServer server;

    /**
     * Begins to listen.
     *
     * @param port of the loopback address
     */
    LoopbackReporter(int port) {
        try {
            server = new HTTPServer(
                    new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port), registry);
        } catch (IOException e) {
            throw new UncheckedIOException("port " + port + " of 127.0.0.1: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        server.stop();
        super.close();
    }
}
