<?php
// A receiver for switchhook's callbacks. PHP 8.1 or newer, no packages.
//
//   SECRET_FILE  a file with the secret; during a rotation two, one a line
//   PROFILE      vos3000 (default) or standard
//   INBOX        a directory this process may write to, on a local disk
//
// Under php-fpm set them with env[…] in the pool. To try it out:
//   SECRET_FILE=secret INBOX=inbox php -S 127.0.0.1:8080 receiver.php

declare(strict_types=1);

const BODY_BYTES_MAX = 1 << 20;
const WINDOW_SECONDS = 300;

function answer(int $status, string $text): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    if ($status >= 400) {
        error_log("callback refused: $status $text");
    }
    echo json_encode($status === 200 ? ['status' => $text] : ['error' => $text]), "\n";
    exit;
}

/** The event's id if a holder of a secret sent exactly these bytes, lately; otherwise it is answered why not. */
function signed_id(string $profile, array $secrets, string $body): string
{
    $standard = $profile === 'standard';
    $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
    $time = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $given = explode(' ', $_SERVER[$standard ? 'HTTP_WEBHOOK_SIGNATURE' : 'HTTP_X_VOS3000_SIGNATURE'] ?? '');
    if ($standard && (!ctype_digit($time) || abs(time() - (int) $time) > WINDOW_SECONDS)) {
        answer(401, 'the timestamp is missing or more than 300 s off: compare the clocks');
    }
    foreach ($secrets as $secret) {
        if ($standard) {
            $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, strlen('whsec_')), true) : $secret;
            $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$time.$body", $key, true));
        } else {
            $expected = hash_hmac('sha256', $body, $secret);
        }
        foreach ($given as $signature) {
            if (hash_equals($expected, $signature)) {
                // Only now is the body worth parsing. Under `standard` the id is in a signed header too.
                return $standard ? $id : (string) (json_decode($body, true)['id'] ?? '');
            }
        }
    }
    answer(401, 'no signature matches: compare the secret and the profile');
}

/** Writes the body under its id, durably; false when that id is there already. */
function store(string $inbox, string $id, string $body): bool
{
    $unfinished = tempnam($inbox, '.unfinished-');
    $file = fopen($unfinished, 'wb');
    if (fwrite($file, $body) !== strlen($body) || !fsync($file) || !fclose($file)) {
        @unlink($unfinished);
        throw new RuntimeException('the body cannot be written');
    }
    // A link is made whole or not at all, and not where the name is taken: two repeats that come at
    // the same moment are told apart by the file system.
    $new = @link($unfinished, "$inbox/$id.json");
    unlink($unfinished);
    if (!$new && !file_exists("$inbox/$id.json")) {
        throw new RuntimeException('the body cannot be named');
    }
    return $new;
}

if (parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) !== '/webhook') {
    answer(404, 'callbacks are taken at /webhook');
}
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    header('Allow: POST');
    answer(405, 'callbacks come by POST');
}
$body = file_get_contents('php://input', length: BODY_BYTES_MAX + 1);
if (strlen($body) > BODY_BYTES_MAX) {
    answer(413, 'too long');
}
$profile = getenv('PROFILE') ?: 'vos3000';
if (!in_array($profile, ['vos3000', 'standard'], true)) {
    answer(503, "PROFILE is vos3000 or standard, not $profile");
}
$secrets = @file((string) getenv('SECRET_FILE'), FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES);
if (!$secrets) {
    answer(503, 'set SECRET_FILE to a file with the secret of the endpoint');
}
if (!is_dir((string) getenv('INBOX'))) {
    answer(503, 'set INBOX to an existing directory');
}
$id = signed_id($profile, $secrets, $body);
if (!preg_match('/^[A-Za-z0-9_-]{1,128}$/', $id) || json_decode($body) === null) {
    answer(400, 'no callback');
}
try {
    answer(200, store(getenv('INBOX'), $id, $body) ? 'received' : 'known');
} catch (RuntimeException $problem) {
    answer(503, $problem->getMessage());
}
