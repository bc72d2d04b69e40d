namespace Toolkit.Recovery;

/// <summary>Tasks that several wait for.</summary>
internal static class TaskExtensions
{
    /// <summary>
    /// The same end as a task of its own. Of several that await one task the runtime lets one go on at once and sends the others through the
    /// thread pool; so all go on at once, in the order in which they came, and a simulation stays on its thread.
    /// </summary>
    public static Task Own(this Task task) => task.IsCompleted
        ? task : task.ContinueWith(static t => t, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).Unwrap();
}
