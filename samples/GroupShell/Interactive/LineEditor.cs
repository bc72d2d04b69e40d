// One line of input at the bottom of a terminal, while other lines are printed above it.
// Keeps: what is typed is never torn by what is printed; both go through one lock.
using System.Text;

namespace GroupShell.Interactive;

/// <summary>A prompt with history and completion.</summary>
internal sealed class LineEditor(string prompt, Func<string, IReadOnlyList<string>> complete)
{
    private readonly Lock _gate = new();
    private readonly List<string> _history = [];
    private readonly StringBuilder _typed = new();
    private int _historyPlace;
    private bool _isReading;

    /// <summary>Prints above the prompt. Safe for any thread.</summary>
    public void Print(Action print)
    {
        lock (_gate)
        {
            if (_isReading)
                Console.Write("\r\u001b[K");
            print();
            if (_isReading)
                Console.Write(prompt + _typed);
        }
    }

    /// <summary>Reads a line; null at the end of input (Ctrl-D on an empty line).</summary>
    public string? ReadLine()
    {
        lock (_gate)
        {
            _typed.Clear();
            _historyPlace = _history.Count;
            _isReading = true;
            Console.Write(prompt);
        }

        while (true)
        {
            ConsoleKeyInfo key = Console.ReadKey(intercept: true);
            lock (_gate)
            {
                if (key.Key == ConsoleKey.D && key.Modifiers == ConsoleModifiers.Control && _typed.Length == 0)
                    return Finish(null);
                if (key.Key == ConsoleKey.Enter)
                    return Finish(_typed.ToString());
                Edit(key);
                Console.Write("\r\u001b[K" + prompt + _typed);
            }
        }
    }

    private string? Finish(string? line)
    {
        _isReading = false;
        Console.WriteLine();
        if (!string.IsNullOrWhiteSpace(line))
            _history.Add(line);
        return line;
    }

    private void Edit(ConsoleKeyInfo key)
    {
        switch (key.Key)
        {
            case ConsoleKey.Backspace when _typed.Length > 0:
                _typed.Length--;
                break;
            case ConsoleKey.Escape:
                _typed.Clear();
                break;
            case ConsoleKey.UpArrow:
                Recall(-1);
                break;
            case ConsoleKey.DownArrow:
                Recall(+1);
                break;
            case ConsoleKey.Tab:
                Complete();
                break;
            default:
                if (!char.IsControl(key.KeyChar))
                    _typed.Append(key.KeyChar);
                break;
        }
    }

    private void Recall(int step)
    {
        _historyPlace = Math.Clamp(_historyPlace + step, 0, _history.Count);
        _typed.Clear().Append(_historyPlace < _history.Count ? _history[_historyPlace] : "");
    }

    // The word being typed grows to what all that begin with it have in common.
    private void Complete()
    {
        string line = _typed.ToString();
        string word = line[(line.LastIndexOf(' ') + 1)..];
        string[] matches = [.. complete(line).Where(name => name.StartsWith(word, StringComparison.Ordinal))];
        if (matches.Length == 0)
            return;
        int common = matches[0].Length;
        foreach (string match in matches)
            common = Math.Min(common, match.AsSpan().CommonPrefixLength(matches[0]));
        _typed.Append(matches[0].AsSpan(word.Length, common - word.Length)).Append(matches.Length == 1 ? " " : "");
    }
}
