// A receiver for switchhook's callbacks. Java 11 or newer, nothing but the JDK.
//
//   SECRET_FILE  a file with the secret; during a rotation two, one a line
//   PROFILE      vos3000 (default) or standard
//   INBOX        a directory this process may write to, on a local disk
//   PORT         8080
//
//   SECRET_FILE=secret INBOX=inbox java Receiver.java
//
// The JDK has no JSON parser, so the id is found by its form. With one at hand (Jackson, Gson) parse
// the body after the signature was checked, and take the field `id`.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Receiver {
    private static final int BODY_BYTES_MAX = 1 << 20;
    private static final long WINDOW_SECONDS = 300;
    private static final int THREADS = 8;
    private static final Pattern HARMLESS = Pattern.compile("[A-Za-z0-9_-]{1,128}");
    // Inside a text the quotation marks would be escaped, so this finds keys only; ours is the last.
    private static final Pattern ID = Pattern.compile("\"id\":\"(evt_[0-9a-f]{32})\"");

    private final boolean standard;
    private final List<SecretKeySpec> keys = new ArrayList<>();
    private final Path inbox;

    private Receiver(String profile) throws IOException {
        standard = profile.equals("standard");
        if (!standard && !profile.equals("vos3000")) {
            stop("PROFILE is vos3000 or standard, not " + profile);
        }
        inbox = Path.of(System.getenv().getOrDefault("INBOX", "(nothing)"));
        if (!Files.isDirectory(inbox)) {
            stop("set INBOX to an existing directory, not " + inbox);
        }
        Path secrets = Path.of(System.getenv().getOrDefault("SECRET_FILE", "(nothing)"));
        if (!Files.isReadable(secrets)) {
            stop("set SECRET_FILE to a file with the secret of the endpoint, not " + secrets);
        }
        for (String secret : Files.readAllLines(secrets)) {
            if (!secret.isEmpty()) {
                byte[] key = standard && secret.startsWith("whsec_")
                        ? Base64.getDecoder().decode(secret.substring("whsec_".length()))
                        : secret.getBytes(StandardCharsets.UTF_8);
                keys.add(new SecretKeySpec(key, "HmacSHA256"));
            }
        }
        if (keys.isEmpty()) {
            stop("SECRET_FILE holds no secret");
        }
    }

    private static void stop(String text) {
        System.err.println(text);
        System.exit(64);
    }

    public static void main(String[] arguments) throws IOException {
        String profile = System.getenv().getOrDefault("PROFILE", "vos3000");
        Receiver receiver = new Receiver(profile);
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(THREADS));
        server.createContext("/webhook", receiver::webhook);
        server.start();
        System.out.println("listening on 127.0.0.1:" + port + ", profile " + profile);
    }

    private void webhook(HttpExchange exchange) throws IOException {
        try (exchange) {
            if (!exchange.getRequestMethod().equals("POST")) {
                exchange.getResponseHeaders().set("Allow", "POST");
                answer(exchange, 405, "callbacks come by POST");
                return;
            }
            // The raw bytes: a parsed and printed body has another signature.
            byte[] body = exchange.getRequestBody().readNBytes(BODY_BYTES_MAX + 1);
            if (body.length > BODY_BYTES_MAX) {
                answer(exchange, 413, "too long");
                return;
            }
            String problem = whyNot(exchange, body);
            if (problem != null) {
                answer(exchange, 401, problem);
                return;
            }
            String id = standard ? header(exchange, "webhook-id") : lastId(body);
            if (!HARMLESS.matcher(id).matches()) {
                answer(exchange, 400, "no id");
                return;
            }
            try {
                answer(exchange, 200, store(id, body) ? "received" : "known");
            } catch (IOException failure) {
                answer(exchange, 503, "not stored");
            }
        }
    }

    /** Why it is not to be believed that a holder of a secret sent exactly these bytes, lately; null if it is. */
    private String whyNot(HttpExchange exchange, byte[] body) {
        String before = "";
        String[] given = {header(exchange, "X-VOS3000-Signature")};
        if (standard) {
            String sent = header(exchange, "webhook-timestamp");
            if (!sent.matches("[0-9]{1,12}")
                    || Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(sent)) > WINDOW_SECONDS) {
                return "the timestamp is missing or more than 300 s off: compare the clocks";
            }
            before = header(exchange, "webhook-id") + "." + sent + ".";
            given = header(exchange, "webhook-signature").split(" ");
        }
        for (SecretKeySpec key : keys) {
            byte[] expected = signature(key, before.getBytes(StandardCharsets.UTF_8), body);
            for (String signature : given) {
                // isEqual takes the same time wherever two signatures differ.
                if (MessageDigest.isEqual(signature.getBytes(StandardCharsets.UTF_8), expected)) {
                    return null;
                }
            }
        }
        return "no signature matches: compare the secret and the profile";
    }

    private byte[] signature(SecretKeySpec key, byte[] before, byte[] body) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(key);
            mac.update(before);
            byte[] tag = mac.doFinal(body);
            if (standard) {
                return ("v1," + Base64.getEncoder().encodeToString(tag)).getBytes(StandardCharsets.UTF_8);
            }
            StringBuilder digits = new StringBuilder();
            for (byte part : tag) {
                digits.append(String.format("%02x", part));
            }
            return digits.toString().getBytes(StandardCharsets.UTF_8);
        } catch (GeneralSecurityException problem) {
            throw new IllegalStateException(problem);
        }
    }

    /** Writes the body under its id, durably; false when that id is there already. */
    private boolean store(String id, byte[] body) throws IOException {
        Path unfinished = Files.createTempFile(inbox, ".unfinished-", "");
        try {
            try (FileChannel file = FileChannel.open(unfinished, StandardOpenOption.WRITE)) {
                ByteBuffer rest = ByteBuffer.wrap(body);
                while (rest.hasRemaining()) {
                    file.write(rest);
                }
                file.force(true);
            }
            // A link is made whole or not at all, and not where the name is taken: two repeats that
            // come at the same moment are told apart by the file system.
            Files.createLink(inbox.resolve(id + ".json"), unfinished);
            try (FileChannel directory = FileChannel.open(inbox, StandardOpenOption.READ)) {
                directory.force(true);
            }
            return true;
        } catch (FileAlreadyExistsException known) {
            return false;
        } finally {
            Files.deleteIfExists(unfinished);
        }
    }

    private static String lastId(byte[] body) {
        Matcher found = ID.matcher(new String(body, StandardCharsets.UTF_8));
        String id = "";
        while (found.find()) {
            id = found.group(1);
        }
        return id;
    }

    private static String header(HttpExchange exchange, String name) {
        String value = exchange.getRequestHeaders().getFirst(name);
        return value == null ? "" : value;
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        if (status >= 400) {
            System.err.println("callback refused: " + status + " " + text);
        }
        String word = status == 200 ? "status" : "error";
        byte[] body = ("{\"" + word + "\":\"" + text + "\"}\n").getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }
}
