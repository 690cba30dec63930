<?php
// The check that the published VOS3000 webhook guide prints for receivers, as a router for
// `php -S`: hexadecimal HMAC-SHA256 of the raw body in X-VOS3000-Signature, compared with
// hash_equals, 401 otherwise; JSON is parsed only after that. One line per accepted callback is
// appended to the file named by ARRIVALS for the test to read.

$secret = getenv('WEBHOOK_SECRET');
$payload = file_get_contents('php://input');
$signature = $_SERVER['HTTP_X_VOS3000_SIGNATURE'] ?? '';
$expected = hash_hmac('sha256', $payload, $secret);

if (!hash_equals($expected, $signature)) {
    file_put_contents(getenv('ARRIVALS'), "refused\n", FILE_APPEND | LOCK_EX);
    http_response_code(401);
    die('Invalid signature');
}

$data = $_POST ?: json_decode($payload, true);
$line = $data['id'] . ' ' . $data['event'] . ' ' . $data['data']['cost'] . "\n";
file_put_contents(getenv('ARRIVALS'), $line, FILE_APPEND | LOCK_EX);
http_response_code(200);
echo 'OK';
