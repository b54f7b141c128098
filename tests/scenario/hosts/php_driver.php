<?php
// A host in PHP: the class SQLite3, or PDO, which cannot load a module itself and uses what SQLite3 loaded.
//
// Usage: php_driver.php SQLite3|PDO MODULE, the module's folder being sqlite3.extension_dir; then one request
// a line, as ../hosts.py sends them.
[, $kind, $module] = $argv;
$connections = [];

function connect(string $kind, string $path): object {
    if ($kind === 'PDO') return new PDO("sqlite:$path");
    $connection = new SQLite3($path);
    $connection->enableExceptions(true);
    return $connection;
}

function load(string $module): object {
    $connection = connect('SQLite3', ':memory:');
    $connection->loadExtension(basename($module));
    return $connection;
}

function query(object $connection, string $sql): mixed {
    if ($connection instanceof SQLite3) return $connection->querySingle($sql);
    $value = $connection->query($sql)->fetchColumn();
    return $value === false ? null : $value;
}

function answer(string $verb, string $name, ?string $text): mixed {
    global $connections, $kind, $module;
    if ($verb === 'load') $connections[$name] = load($module);
    elseif ($verb === 'open') $connections[$name] = connect($kind, $text);
    elseif ($verb === 'close') unset($connections[$name]);
    else return query($connections[$name], $text);
    return null;
}

while (($line = fgets(STDIN)) !== false) {
    try {
        $reply = ['value' => answer(...json_decode($line))];
    } catch (Throwable $error) {
        $reply = ['error' => $error->getMessage()];
    }
    echo json_encode($reply), "\nend of answer\n";
}
