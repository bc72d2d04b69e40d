using Core.Groups.Hosting;

namespace Core.Groups.Tests.Hosting;

public sealed class EventLoopTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private sealed class Recorder : ITurn<int>
    {
        private int _inside;

        public List<int> Taken { get; } = [];
        public List<int> Sizes { get; } = [];
        public bool Overlapped { get; private set; }
        public int LastThread { get; private set; }
        public TimeSpan Next { get; set; } = TimeSpan.MaxValue;
        public Action? During { get; set; }
        public SemaphoreSlim Turns { get; } = new(0);
        public TaskCompletionSource AllTaken { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public int Expected { get; init; } = int.MaxValue;

        public TimeSpan Run(ReadOnlySpan<int> inputs)
        {
            Overlapped |= Interlocked.Exchange(ref _inside, 1) == 1;
            Taken.AddRange(inputs);
            Sizes.Add(inputs.Length);
            LastThread = Environment.CurrentManagedThreadId;
            During?.Invoke();
            TimeSpan next = Next;
            Interlocked.Exchange(ref _inside, 0);
            Turns.Release();
            if (Taken.Count == Expected)
            {
                AllTaken.TrySetResult();
            }

            return next;
        }
    }

    private static EventLoop<int> Started(Recorder recorder)
    {
        var loop = new EventLoop<int>(recorder, "test clock");
        loop.Start();
        return loop;
    }

    [Fact]
    public async Task Every_input_of_many_threads_is_taken_once_and_in_each_threads_order()
    {
        const int Threads = 8;
        const int Each = 20_000;
        var recorder = new Recorder { Expected = Threads * Each };
        EventLoop<int> loop = Started(recorder);
        Parallel.For(0, Threads, new ParallelOptions { MaxDegreeOfParallelism = Threads }, thread =>
        {
            for (int i = 0; i < Each; i++)
            {
                bool inline = i % 3 == 0;
                loop.Post((thread * Each) + i, schedule: !inline);
                if (inline)
                {
                    loop.RunHere();
                }
            }
        });

        await recorder.AllTaken.Task.WaitAsync(Patience);
        loop.Stop();
        Assert.False(recorder.Overlapped);
        foreach (IGrouping<int, int> thread in recorder.Taken.GroupBy(i => i / Each))
        {
            Assert.Equal(Enumerable.Range(thread.Key * Each, Each), thread);
        }
    }

    [Fact]
    public async Task What_comes_during_a_turn_is_taken_by_the_next_as_one_batch()
    {
        var recorder = new Recorder();
        EventLoop<int> loop = Started(recorder);
        await recorder.Turns.WaitAsync(Patience);
        recorder.During = () =>
        {
            recorder.During = null;
            for (int i = 1; i <= 100; i++)
            {
                loop.Post(i);
            }
        };
        loop.Post(0, schedule: false);
        loop.RunHere();
        loop.Stop();
        Assert.Equal(Enumerable.Range(0, 101), recorder.Taken);
        Assert.Equal([0, 1, 100], recorder.Sizes);
    }

    [Fact]
    public void A_turn_that_asks_for_a_turn_is_not_nested()
    {
        var recorder = new Recorder();
        EventLoop<int> loop = Started(recorder);
        recorder.During = () =>
        {
            recorder.During = null;
            loop.Post(2, schedule: false);
            loop.RunHere();
        };
        loop.Post(1, schedule: false);
        loop.RunHere();
        loop.Stop();
        Assert.False(recorder.Overlapped);
        Assert.Equal([1, 2], recorder.Taken);
        Assert.Equal(Environment.CurrentManagedThreadId, recorder.LastThread);
    }

    [Fact]
    public void What_is_posted_before_the_start_waits_for_it()
    {
        var recorder = new Recorder();
        var loop = new EventLoop<int>(recorder, "test clock");
        loop.Post(7);
        loop.RunHere();
        Assert.Empty(recorder.Sizes);
        loop.Start();
        loop.Stop();
        Assert.Equal([7], recorder.Taken);
    }

    [Fact]
    public async Task A_deadline_brings_a_turn_without_inputs()
    {
        var recorder = new Recorder { Next = TimeSpan.Zero };
        EventLoop<int> loop = Started(recorder);
        Assert.True(await recorder.Turns.WaitAsync(Patience));
        recorder.Next = loop.Now + TimeSpan.FromMilliseconds(30);
        Assert.True(await recorder.Turns.WaitAsync(Patience));
        Assert.True(await recorder.Turns.WaitAsync(Patience));
        loop.Stop();
    }

    [Fact]
    public async Task An_earlier_deadline_wakes_the_clock_that_sleeps_for_a_later_one()
    {
        var recorder = new Recorder { Next = TimeSpan.FromHours(1) };
        EventLoop<int> loop = Started(recorder);
        Assert.True(await recorder.Turns.WaitAsync(Patience));
        recorder.Next = loop.Now + TimeSpan.FromMilliseconds(50);
        loop.Post(1, schedule: false);
        loop.RunHere();
        Assert.True(await recorder.Turns.WaitAsync(Patience));
        recorder.Next = TimeSpan.MaxValue;
        Assert.True(await recorder.Turns.WaitAsync(Patience));
        loop.Stop();
    }

    [Fact]
    public async Task A_lazy_input_is_taken_without_anyone_else()
    {
        var recorder = new Recorder { Expected = 1 };
        EventLoop<int> loop = Started(recorder);
        loop.PostLazily(5);
        await recorder.AllTaken.Task.WaitAsync(Patience);
        loop.Stop();
    }

    [Fact]
    public async Task A_lent_thread_gets_away_from_a_loop_that_never_ends()
    {
        var recorder = new Recorder { Expected = 1000 };
        EventLoop<int> loop = Started(recorder);
        int left = 999;
        recorder.During = () =>
        {
            if (left-- > 0)
            {
                loop.Post(left, schedule: false);
            }
        };
        loop.Post(-1, schedule: false);
        loop.RunHere();
        Assert.True(Volatile.Read(ref left) > 0 || recorder.LastThread != Environment.CurrentManagedThreadId);
        await recorder.AllTaken.Task.WaitAsync(Patience);
        loop.Stop();
    }

    [Fact]
    public void After_the_stop_there_is_no_turn()
    {
        var recorder = new Recorder();
        EventLoop<int> loop = Started(recorder);
        loop.Stop();
        loop.Post(1);
        loop.RunHere();
        Assert.Empty(recorder.Taken);
    }
}
