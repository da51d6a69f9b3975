import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command-line tools, many in one JVM: a JVM per command would cost seconds of CPU each.
 *
 * One JSON object per line comes in, {"id", "tool", "args", "stdin"}; one per command goes out, {"id", "code", "out", "err"}.
 * Commands run at the same time, each on its own thread; System.in, out and err lead to the command whose thread (or whose
 * thread's child) uses them.
 */
public class ToolDriver {
    /** Thrown where a tool would end its JVM. An Error, so that a tool's own catch (Exception) lets it pass; it prints as
     * nothing, for those that catch Throwable. */
    private static class Exited extends Error {
        Exited() { super("", null, false, false); }
        @Override public String toString() { return ""; }
    }

    private static class Command {
        final ByteArrayOutputStream outBytes = new ByteArrayOutputStream(), errBytes = new ByteArrayOutputStream();
        final PrintStream out = new PrintStream(outBytes, true), err = new PrintStream(errBytes, true);
        InputStream in = InputStream.nullInputStream();
        final List<Runnable> hooks = new ArrayList<>();
        Integer code;

        synchronized void exit(int status) {
            if (code == null) code = status; // a tool that catches Throwable may exit twice: the first one counts
        }
    }

    private static final InheritableThreadLocal<Command> CURRENT = new InheritableThreadLocal<>();
    private static final ObjectMapper JSON = new ObjectMapper();

    private static PrintStream routed(Supplier<PrintStream> target) {
        return new PrintStream(new OutputStream() {
            @Override public void write(int b) { target.get().write(b); }
            @Override public void write(byte[] b, int off, int len) { target.get().write(b, off, len); }
            @Override public void flush() { target.get().flush(); }
        }, true);
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> tools = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(args[0]))) tools.put(line.split(" ")[0], line.split(" ")[1]);

        PrintStream answers = System.out, errors = System.err;
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        System.setOut(routed(() -> CURRENT.get() == null ? errors : CURRENT.get().out));
        System.setErr(routed(() -> CURRENT.get() == null ? errors : CURRENT.get().err));
        System.setIn(new InputStream() {
            @Override public int read() throws java.io.IOException { return CURRENT.get().in.read(); }
            @Override public int read(byte[] b, int off, int len) throws java.io.IOException {
                return CURRENT.get().in.read(b, off, len);
            }
        });
        Exit.Procedure exit = (status, message) -> {
            if (message != null) System.err.println(message);
            if (CURRENT.get() != null) CURRENT.get().exit(status);
            throw new Exited();
        };
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        Exit.setShutdownHookAdder((name, hook) -> CURRENT.get().hooks.add(hook));

        for (String line; (line = requests.readLine()) != null;) {
            JsonNode request = JSON.readTree(line);
            Thread worker = new Thread(() -> {
                Command command = new Command();
                CURRENT.set(command);
                run(tools.get(request.get("tool").asText()), request, command);
                answer(answers, request, command);
            });
            worker.setDaemon(true);
            worker.start();
        }
    }

    private static void run(String tool, JsonNode request, Command command) {
        List<String> args = new ArrayList<>();
        request.get("args").forEach(arg -> args.add(arg.asText()));
        command.in = new ByteArrayInputStream(request.get("stdin").asText().getBytes());
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) args.toArray(new String[0]));
            command.exit(0);
        } catch (Throwable t) {
            Throwable cause = t.getCause() == null ? t : t.getCause();
            if (!(cause instanceof Exited)) cause.printStackTrace(command.err);
            command.exit(1);
        }
        command.hooks.forEach(Runnable::run);
    }

    private static void answer(PrintStream answers, JsonNode request, Command command) {
        try {
            Map<String, Object> fields = new HashMap<>();
            fields.put("id", request.get("id"));
            fields.put("code", command.code);
            fields.put("out", command.outBytes.toString());
            fields.put("err", command.errBytes.toString());
            String line = JSON.writeValueAsString(fields);
            synchronized (answers) { answers.println(line); }
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
